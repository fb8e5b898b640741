package user

import (
	"context"
	"slices"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	userv1 "github.com/intime-solutions/intime/gen/go/intime/user/v1"
	"github.com/intime-solutions/intime/internal/person"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// The reasons for leaving somebody active.
const (
	ReasonSelf      = "USER_SELF"       // nobody deactivates himself
	ReasonLastAdmin = "USER_LAST_ADMIN" // an organisation keeps an active admin
	ReasonAdminOnly = "USER_ADMIN_ONLY" // only admins deactivate or reactivate admins
)

var (
	errSelf      = apierr.New(connect.CodeFailedPrecondition, ReasonSelf, "Nobody deactivates himself.")
	errLastAdmin = apierr.New(connect.CodeFailedPrecondition, ReasonLastAdmin,
		"This is the organisation's last active admin. Make somebody else an admin first.")
	errAdminOnly = apierr.New(connect.CodePermissionDenied, ReasonAdminOnly, "Only an admin decides whether an admin may sign in.")
)

// DeactivateUser keeps a person from signing in, from the next call on.
func (s *Service) DeactivateUser(ctx context.Context, r *userv1.DeactivateUserRequest) (*userv1.DeactivateUserResponse, error) {
	changed, err := s.setActive(ctx, r.GetId(), r.GetVersion(), false)
	if err != nil {
		return nil, err
	}
	return &userv1.DeactivateUserResponse{User: changed.user()}, nil
}

// ReactivateUser lets a person sign in again.
func (s *Service) ReactivateUser(ctx context.Context, r *userv1.ReactivateUserRequest) (*userv1.ReactivateUserResponse, error) {
	changed, err := s.setActive(ctx, r.GetId(), r.GetVersion(), true)
	if err != nil {
		return nil, err
	}
	return &userv1.ReactivateUserResponse{User: changed.user()}, nil
}

func (s *Service) setActive(ctx context.Context, text string, version int64, active bool) (*profile, error) {
	me, ok := principal.From(ctx)
	if !ok {
		return nil, postgres.ErrNoTenant
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return nil, errNotFound
	}
	var changed *profile
	err = s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		stored, err := lockProfile(ctx, tx, id)
		if err != nil {
			return err
		}
		if stored.Version != version {
			return errStale
		}
		if err := mayDecide(ctx, tx, me, id, active); err != nil {
			return err
		}
		changed, err = setActive(ctx, tx, id, active)
		return err
	})
	return changed, err
}

// mayDecide says why somebody is not the caller's to deactivate or reactivate.
func mayDecide(ctx context.Context, tx *postgres.Tx, me principal.Principal, id uuid.UUID, active bool) error {
	if !active && id == me.UserID {
		return errSelf
	}
	standing, err := person.StandingOf(ctx, tx, id)
	if err != nil {
		return err
	}
	isAdmin := slices.Contains(standing.RoleNames, "admin")
	switch {
	case (isAdmin || slices.Contains(standing.RoleNames, "super_admin")) && !me.CanAll("system:admin"):
		return errAdminOnly
	case !active && isAdmin && standing.OtherAdmins == 0:
		return errLastAdmin
	}
	return nil
}
