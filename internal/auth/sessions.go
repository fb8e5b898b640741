package auth

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// Sessions reads people from the database. Nothing is cached: a revoked role, a deactivated person and a suspended
// organisation count from the next call on.
type Sessions struct {
	db *postgres.DB
}

// NewSessions returns sessions of a database.
func NewSessions(db *postgres.DB) *Sessions { return &Sessions{db: db} }

// Load returns the person with his organisation, his roles and what they permit now, in one round trip. A person who is
// not active, or whose organisation is not, gets ACCOUNT_INACTIVE; one whom nobody knows the answer for a bad token.
func (s *Sessions) Load(ctx context.Context, userID uuid.UUID) (principal.Principal, error) {
	var (
		p                     = principal.Principal{UserID: userID}
		orgActive, active     bool
		permissions, reaching []string
	)
	err := s.db.LoginRow(ctx,
		`SELECT org_id, org_active, is_active, role_names, permission_names, scopes FROM app.session($1)`,
		[]any{userID}, &p.OrgID, &orgActive, &active, &p.Roles, &permissions, &reaching)
	if errors.Is(err, pgx.ErrNoRows) {
		return principal.Principal{}, Unauthenticated(errors.New("the token's subject is nobody in the database"))
	}
	if err != nil {
		return principal.Principal{}, fmt.Errorf("load the session: %w", err)
	}
	if !active || !orgActive {
		return principal.Principal{}, accountInactive(active)
	}
	p.Permissions = make(map[string]principal.Scope, len(permissions))
	for i, permission := range permissions {
		p.Permissions[permission] = principal.Scope(reaching[i])
	}
	return p, nil
}

// The answer does not tell which of the two it is: the person cannot mend either.
func accountInactive(personActive bool) error {
	cause := errors.New("the person is not active")
	if personActive {
		cause = errors.New("the person's organisation is not active")
	}
	return apierr.New(connect.CodeUnauthenticated, apierr.ReasonAccountInactive,
		"This account is not active. Ask an administrator of your organisation.").Because(cause)
}
