// Package user serves people's profiles. Start at Service.
package user

import (
	"context"
	"maps"
	"slices"

	userv1 "github.com/intime-solutions/intime/gen/go/intime/user/v1"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// Service implements intime.user.v1.UserService.
type Service struct{ db *postgres.DB }

// NewService returns the service.
func NewService(db *postgres.DB) *Service { return &Service{db: db} }

// GetMe returns the caller, his organisation, his roles and what they permit.
func (s *Service) GetMe(ctx context.Context, _ *userv1.GetMeRequest) (*userv1.GetMeResponse, error) {
	me, ok := principal.From(ctx)
	if !ok {
		return nil, postgres.ErrNoTenant
	}
	var found *profile
	err := s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		found, err = findProfile(ctx, tx, me.UserID)
		return err
	})
	if err != nil {
		return nil, err
	}
	response := &userv1.GetMeResponse{User: found.user(), Organization: found.organization(), Roles: me.Roles}
	for _, name := range slices.Sorted(maps.Keys(me.Permissions)) {
		scope := userv1.Permission_SCOPE_OWN
		if me.Permissions[name] == principal.ScopeAll {
			scope = userv1.Permission_SCOPE_ALL
		}
		response.Permissions = append(response.Permissions, &userv1.Permission{Name: name, Scope: scope})
	}
	return response, nil
}
