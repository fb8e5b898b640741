package app_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
)

// What an operator takes away counts from the next call on, although the token is still good.
func TestRevocation(t *testing.T) {
	t.Parallel()
	const me = "'ana@acme.example'"
	for name, c := range map[string]struct{ takeAway, code, reason string }{
		"SuspendedOrganisation": {
			`UPDATE organizations SET status = 'suspended' WHERE slug = 'acme'`, "unauthenticated", "ACCOUNT_INACTIVE",
		},
		"DeletedOrganisation": {
			`UPDATE organizations SET deleted_at = now() WHERE slug = 'acme'`, "unauthenticated", "ACCOUNT_INACTIVE",
		},
		"DeactivatedPerson": {
			`UPDATE user_profiles SET is_active = false WHERE email = ` + me, "unauthenticated", "ACCOUNT_INACTIVE",
		},
		"DeletedPerson": {
			`UPDATE user_profiles SET deleted_at = now() WHERE email = ` + me, "unauthenticated", "ACCOUNT_INACTIVE",
		},
		"RevokedRole": {
			`UPDATE user_roles SET revoked_at = now() WHERE user_id = (SELECT id FROM user_profiles WHERE email = ` + me + `)`,
			"permission_denied", "PERMISSION_DENIED",
		},
		"ExpiredRole": {
			`UPDATE user_roles SET expires_at = now() WHERE user_id = (SELECT id FROM user_profiles WHERE email = ` + me + `)`,
			"permission_denied", "PERMISSION_DENIED",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := apptest.New(t, apptest.Options{})
			admin := env.Admin(t)
			token := env.Token(t, "admin")
			of := newThings(t, admin, "admin")
			for _, p := range procedures(t) {
				if p.reads {
					require.Equal(t, http.StatusOK, p.call(t, env, token, of).Code, "%s before", p.path)
				}
			}
			require.Equal(t, int64(1), apptest.Exec(t, admin, c.takeAway))
			for _, p := range procedures(t) {
				if p.public {
					continue
				}
				answer := p.call(t, env, token, of)
				require.Equal(t, c.code, codeOf(t, answer), "%s", p.path)
				reason := apptest.Reason(t, answer)
				require.Equal(t, c.reason, reason, "%s", p.path)
			}
		})
	}
}

func TestRevocation_AnotherOrganisationGoesOn(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin := env.Admin(t)
	apptest.Exec(t, admin, `UPDATE organizations SET status = 'suspended' WHERE slug = 'acme'`)
	of := newThings(t, admin, "greta@globex.example")
	for _, p := range procedures(t) {
		if p.reads {
			require.Equal(t, http.StatusOK, p.call(t, env, env.Token(t, "greta@globex.example"), of).Code, "%s", p.path)
		}
	}
}
