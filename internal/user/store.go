package user

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	userv1 "github.com/intime-solutions/intime/gen/go/intime/user/v1"
	"github.com/intime-solutions/intime/internal/person"
	"github.com/intime-solutions/intime/internal/platform/page"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

const columns = `id, email, full_name, avatar_url, phone, is_active, onboarding_completed_at, employee_hire_date,
	employee_department, employee_position, client_company_name, client_industry, client_tier, version, created_at, updated_at`

func insertProfile(ctx context.Context, tx *postgres.Tx, wanted *profile) (*profile, error) {
	p, ok := principal.From(ctx)
	if !ok {
		return nil, postgres.ErrNoTenant
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make a user id: %w", err)
	}
	return one(tx.Query(ctx, `
		INSERT INTO public.user_profiles (id, org_id, email, full_name, phone, employee_hire_date, employee_department,
			employee_position, client_company_name, client_industry, client_tier)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		RETURNING `+columns,
		id, p.OrgID, wanted.Email, wanted.FullName, wanted.Phone, wanted.EmployeeHireDate, wanted.EmployeeDepartment,
		wanted.EmployeePosition, wanted.ClientCompanyName, wanted.ClientIndustry, wanted.ClientTier))
}

func findProfile(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (*profile, error) {
	return one(tx.Query(ctx, `SELECT `+columns+` FROM public.user_profiles WHERE id = $1 AND deleted_at IS NULL`, id))
}

// lockProfile finds the profile for a change.
func lockProfile(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (*profile, error) {
	return one(tx.Query(ctx,
		`SELECT `+columns+` FROM public.user_profiles WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE`, id))
}

func updateProfile(ctx context.Context, tx *postgres.Tx, p *profile) (*profile, error) {
	return one(tx.Query(ctx, `
		UPDATE public.user_profiles
		SET full_name = $2, avatar_url = $3, phone = $4, version = version + 1, updated_at = now()
		WHERE id = $1
		RETURNING `+columns, p.ID, p.FullName, p.AvatarURL, p.Phone))
}

func completeOnboarding(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (*profile, error) {
	return one(tx.Query(ctx, `
		UPDATE public.user_profiles SET onboarding_completed_at = now(), version = version + 1, updated_at = now()
		WHERE id = $1
		RETURNING `+columns, id))
}

func setActive(ctx context.Context, tx *postgres.Tx, id uuid.UUID, active bool) (*profile, error) {
	return one(tx.Query(ctx, `
		UPDATE public.user_profiles SET is_active = $2, version = version + 1, updated_at = now()
		WHERE id = $1
		RETURNING `+columns, id, active))
}

// member is a profile with its organisation.
type member struct {
	profile

	OrgID   uuid.UUID
	OrgName string
	OrgSlug string
}

func (m *member) organization() *userv1.Organization {
	return &userv1.Organization{Id: m.OrgID.String(), Name: m.OrgName, Slug: m.OrgSlug}
}

func findMember(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (*member, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+columns+`, org_id, org_name, org_slug
		FROM public.user_profiles
		JOIN (SELECT o.id AS org_id, o.name AS org_name, o.slug AS org_slug FROM public.organizations o) o USING (org_id)
		WHERE id = $1 AND deleted_at IS NULL`, id)
	return exactlyOne[member](rows, err)
}

// filters are what a list is filtered and ordered by; a page token is bound to them.
type filters struct {
	Query    string
	IsActive *bool
	Order    person.Order
}

func filtersOf(r *userv1.ListUsersRequest) filters {
	f := filters{Query: r.GetQuery(), IsActive: r.IsActive}
	if r.GetSort() == userv1.UserSort_USER_SORT_NAME {
		f.Order = person.Name
	}
	return f
}

// listed is a profile in a list, with what the list is ordered by.
type listed struct {
	profile

	SortKey string
}

func listProfiles(ctx context.Context, tx *postgres.Tx, by filters, after page.Token, limit int) ([]*listed, error) {
	where := postgres.NewFilter("deleted_at IS NULL")
	if strings.TrimSpace(by.Query) != "" {
		where.And("search_text LIKE @query", "query", postgres.Contains(by.Query))
	}
	if by.IsActive != nil {
		where.And("is_active = @active", "active", *by.IsActive)
	}
	if err := by.Order.After(after, where); err != nil {
		return nil, err
	}
	where.Args["limit"] = limit
	rows, err := tx.Query(ctx, `
		SELECT `+columns+`, `+by.Order.Key()+` AS sort_key FROM public.user_profiles
		WHERE `+where.SQL()+` ORDER BY `+by.Order.By()+` LIMIT @limit`, where.Args)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[listed])
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return found, nil
}

func one(rows pgx.Rows, err error) (*profile, error) { return exactlyOne[profile](rows, err) }

func exactlyOne[T any](rows pgx.Rows, err error) (*T, error) {
	if err != nil {
		return nil, fmt.Errorf("query profile: %w", err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[T])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("query profile: %w", err)
	}
	return found, nil
}
