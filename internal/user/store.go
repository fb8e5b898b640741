package user

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	userv1 "github.com/intime-solutions/intime/gen/go/intime/user/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// ReasonNotFound is the reason for a user whom the caller cannot see, or who does not exist.
const ReasonNotFound = "USER_NOT_FOUND"

var errNotFound = apierr.NotFound(ReasonNotFound, "user")

type profile struct {
	ID        uuid.UUID
	OrgID     uuid.UUID
	Email     string
	FullName  string
	AvatarURL string
	Phone     string
	IsActive  bool
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
	OrgName   string
	OrgSlug   string
}

func findProfile(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (*profile, error) {
	rows, err := tx.Query(ctx, `
		SELECT p.id, p.org_id, p.email, p.full_name, coalesce(p.avatar_url, '') AS avatar_url, coalesce(p.phone, '') AS phone,
			p.is_active, p.version, p.created_at, p.updated_at, o.name AS org_name, o.slug AS org_slug
		FROM public.user_profiles p JOIN public.organizations o ON o.id = p.org_id
		WHERE p.id = $1 AND p.deleted_at IS NULL`, id)
	if err != nil {
		return nil, fmt.Errorf("find profile: %w", err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[profile])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("find profile: %w", err)
	}
	return found, nil
}

func (p *profile) user() *userv1.User {
	return &userv1.User{
		Id: p.ID.String(), Email: p.Email, FullName: p.FullName, AvatarUrl: p.AvatarURL, Phone: p.Phone,
		IsActive: p.IsActive, Version: p.Version,
		CreatedAt: timestamppb.New(p.CreatedAt), UpdatedAt: timestamppb.New(p.UpdatedAt),
	}
}

func (p *profile) organization() *userv1.Organization {
	return &userv1.Organization{Id: p.OrgID.String(), Name: p.OrgName, Slug: p.OrgSlug}
}
