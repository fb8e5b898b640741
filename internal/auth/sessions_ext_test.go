package auth_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/auth"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// What an operator takes away is taken away from the next call on: the tests of the whole program see to that.
func TestSessions_Load(t *testing.T) {
	t.Parallel()
	adminURL := apptest.Database(t)
	url, err := postgres.LoginURL(adminURL, postgres.LoginAPI)
	require.NoError(t, err)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	admin := apptest.Connect(t, adminURL)
	sessions := auth.NewSessions(db)
	const anyone = `FROM user_profiles p JOIN organizations o ON o.id = p.org_id WHERE p.email = 'ana@acme.example'`
	person := apptest.One[uuid.UUID](t, admin, `SELECT p.id `+anyone)
	refused := func(t *testing.T, id uuid.UUID) *apierr.Error {
		t.Helper()
		_, err := sessions.Load(t.Context(), id)
		var public *apierr.Error
		require.ErrorAs(t, err, &public)
		return public.Because(nil)
	}

	p, err := sessions.Load(t.Context(), person)
	require.NoError(t, err)
	require.Equal(t, person, p.UserID)
	require.Equal(t, apptest.One[uuid.UUID](t, admin, `SELECT o.id `+anyone), p.OrgID)
	require.NotEmpty(t, p.Roles)
	want := apptest.All[string](t, admin, `SELECT DISTINCT permission_name || '=' || min(scope) FROM role_permissions
		WHERE role_name = ANY ($1) GROUP BY permission_name`, p.Roles)
	var got []string
	for permission, scope := range p.Permissions {
		got = append(got, permission+"="+string(scope))
	}
	require.ElementsMatch(t, want, got)
	require.Equal(t, principal.ScopeAll, p.Permissions["job:create"])

	require.Equal(t, auth.Unauthenticated(nil), refused(t, uuid.New()), "nobody looks like a bad token")

	require.EqualValues(t, 1, apptest.Exec(t, admin, `UPDATE user_profiles SET is_active = false WHERE id = $1`, person))
	require.Equal(t, apierr.ReasonAccountInactive, refused(t, person).Reason)

	db.Close()
	_, err = sessions.Load(t.Context(), person)
	var public *apierr.Error
	require.Error(t, err)
	require.NotErrorAs(t, err, &public, "a lost database is no refusal")
}
