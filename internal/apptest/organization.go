package apptest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/principal"
)

// Organization is a tenant that a test has for itself.
type Organization struct {
	ID uuid.UUID
	// People are its people by role: one of each that was asked for.
	People map[string]principal.Principal
}

// NewOrganization makes an organisation with one person of each role, every handler subscribed as in any other.
func NewOrganization(t *testing.T, admin *pgx.Conn, roles ...string) Organization {
	t.Helper()
	o := Organization{ID: uuid.New(), People: map[string]principal.Principal{}}
	slug := "org-" + strings.ReplaceAll(o.ID.String(), "-", "")
	Exec(t, admin, `INSERT INTO organizations (id, name, slug) VALUES ($1, $2, $2)`, o.ID, slug)
	for _, role := range roles {
		person := principal.Principal{UserID: uuid.New(), OrgID: o.ID}
		Exec(t, admin, `INSERT INTO user_profiles (id, org_id, email, full_name) VALUES ($1, $2, $3, $4)`,
			person.UserID, o.ID, role+"@"+slug+".example", "The "+role)
		Exec(t, admin, `INSERT INTO user_roles (org_id, user_id, role_name) VALUES ($1, $2, $3)`, o.ID, person.UserID, role)
		o.People[role] = person
	}
	return o
}

// AsPerson returns the clients of anybody who is in the database.
func (e *Env) AsPerson(t *testing.T, p principal.Principal) Clients {
	t.Helper()
	token, _, err := e.App.Issuer().Token(p.UserID, time.Hour)
	require.NoError(t, err)
	return e.WithToken(token)
}
