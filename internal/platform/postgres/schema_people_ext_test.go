package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// A person is one row. Who may change one part of it may not change the others, whatever a service forgets.
func TestSchema_PartsOfAProfile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.login(t, postgres.LoginAPI)
	const (
		contact  = `UPDATE user_profiles SET phone = '+12' WHERE email = $1`
		onboard  = `UPDATE user_profiles SET onboarding_completed_at = now() WHERE email = $1`
		inactive = `UPDATE user_profiles SET is_active = false WHERE email = $1`
		gone     = `UPDATE user_profiles SET deleted_at = now() WHERE email = $1`
		skills   = `UPDATE user_profiles SET candidate_skills = '{Go}' WHERE email = $1`
		become   = `UPDATE user_profiles SET candidate_status = 'active' WHERE email = $1`
		bar      = `UPDATE user_profiles SET candidate_status = 'blacklisted' WHERE email = $1`
		ready    = `UPDATE user_profiles SET candidate_ready_for_placement = true WHERE email = $1`
		module   = `UPDATE user_profiles SET student_current_module = 'Gosu' WHERE email = $1`
		progress = `UPDATE user_profiles SET student_course_progress = '{"Gosu": 100}' WHERE email = $1`
		graduate = `UPDATE user_profiles SET student_graduation_date = current_date WHERE email = $1`
		unenroll = `UPDATE user_profiles SET student_enrollment_date = NULL WHERE email = $1 AND student_enrollment_date IS NOT NULL`
		unlook   = `UPDATE user_profiles SET candidate_status = NULL WHERE email = $1 AND candidate_status IS NOT NULL`
	)
	const (
		ana, rita, tom, hana, emma = "ana@acme.example", "rita@acme.example", "tom@acme.example", "hana@acme.example", "emma@acme.example"
		sam, cara, carl, clive     = "sam@acme.example", "cara@acme.example", "carl@acme.example", "clive@acme.example"
	)
	all := []string{contact, onboard, inactive, gone, skills, become, bar, ready, module, progress, graduate, unenroll, unlook}
	for _, c := range []struct {
		who, whom string
		may       []string
	}{
		{emma, emma, []string{contact, onboard}},
		{sam, sam, []string{contact, onboard, module}},
		{cara, cara, []string{contact, onboard, skills, become}},
		{rita, cara, []string{contact, onboard, gone, skills, become, bar, ready}},
		{tom, sam, []string{contact, onboard, gone, module, progress, graduate}},
		{tom, cara, []string{contact, onboard, skills, become, bar, ready}},
		{hana, emma, []string{contact, onboard, inactive}},
		{hana, cara, []string{contact, onboard, inactive}},
		{ana, cara, []string{contact, onboard, inactive, gone, skills, become, bar, ready}},
		{ana, sam, []string{contact, onboard, inactive, gone, module, progress, graduate}},
		{ana, emma, []string{contact, onboard, inactive}},
		// Whom he does not see is not there.
		{cara, carl, nil},
		{rita, sam, nil},
		{rita, emma, nil},
		{rita, clive, nil},
		{sam, cara, nil},
		{emma, ana, nil},
		{tom, clive, nil},
	} {
		as(t, api, claimsOf(person(t, c.who).ID()), func(tx pgx.Tx) {
			var may []string
			for _, sql := range all {
				n, err := try(t, tx, sql, c.whom)
				if err != nil {
					requireState(t, stateDenied, err, c.who, c.whom, sql)
				} else if n > 0 {
					may = append(may, sql)
				}
			}
			require.Equal(t, c.may, may, "%s changes %s", c.who, c.whom)
		})
	}
	// Neither the address nor the organisation nor the id of anybody.
	as(t, api, claimsOf(person(t, ana).ID()), func(tx pgx.Tx) {
		for _, set := range []string{
			"email = 'x@y.example'", "org_id = org_id", "id = gen_random_uuid()", "created_at = now()",
			"client_tier = NULL",
		} {
			_, err := try(t, tx, `UPDATE user_profiles SET `+set+` WHERE email = $1`, emma)
			requireState(t, stateDenied, err, set)
		}
	})
}

// A profile comes with the role of its kind; no other role can be given so, and nobody gives himself one.
func TestSchema_RolesOfNewPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.login(t, postgres.LoginAPI)
	give := `INSERT INTO user_roles (org_id, user_id, role_name, granted_by) VALUES (@org, @user, @role, @me)`
	for who, may := range map[string][]string{
		"recruiter": {"candidate"}, "trainer": {"candidate", "student"}, "hr_manager": {"client", "employee"},
		"admin": {"candidate", "client", "employee", "student"}, "bench_sales": nil, "employee": nil, "student": nil, "client": nil,
	} {
		me := person(t, who)
		as(t, api, claimsOf(me.ID()), func(tx pgx.Tx) {
			var got []string
			for _, role := range column[string](t, w.Admin, `SELECT name FROM roles ORDER BY 1`) {
				args := pgx.NamedArgs{"org": w.A.Org, "user": person(t, "sue@acme.example").ID(), "role": role, "me": me.ID()}
				if role == "super_admin" {
					args["user"] = w.A.Client
				}
				_, err := try(t, tx, give, args)
				if err == nil {
					got = append(got, role)
				} else {
					requireState(t, stateDenied, err, who, role)
				}
				args["user"] = me.ID()
				_, err = try(t, tx, give, args)
				requireState(t, stateDenied, err, who, "gives himself", role)
				args["user"], args["me"] = person(t, "sue@acme.example").ID(), w.A.Client
				if who != "client" {
					_, err = try(t, tx, give, args)
					requireState(t, stateDenied, err, who, "in another's name", role)
				}
			}
			require.Equal(t, may, got, who)
		})
	}
}

// Of two admins who are about to deactivate each other, the second waits, and sees the first gone.
func TestSchema_RoleStanding_AtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ana, tom := person(t, "admin").ID(), person(t, "trainer").ID()
	w.exec(t, `INSERT INTO user_roles (org_id, user_id, role_name) VALUES ($1, $2, 'admin')`, w.A.Org, tom)
	const standing = `SELECT other_admins FROM app.role_standing($1)`
	first, second := w.login(t, postgres.LoginAPI), w.login(t, postgres.LoginAPI)
	asRole(t, second, "authenticated", claimsOf(tom), func(other pgx.Tx) {
		tx, err := first.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), actAs, claimsOf(ana))
		require.NoError(t, err)
		var left int
		require.NoError(t, tx.QueryRow(t.Context(), standing, tom).Scan(&left))
		require.Equal(t, 1, left)
		_, err = tx.Exec(t.Context(), `UPDATE user_profiles SET is_active = false WHERE id = $1`, tom)
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() { done <- other.QueryRow(t.Context(), standing, ana).Scan(&left) }()
		w.untilWaiting(t, second.PgConn().PID())
		require.NoError(t, tx.Commit(t.Context()))
		require.NoError(t, <-done)
		require.Zero(t, left)
	})
	as(t, first, claimsOf(w.A.Client), func(tx pgx.Tx) {
		_, err := try(t, tx, standing, ana)
		requireState(t, stateDenied, err, "who deactivates nobody")
	})
	as(t, first, claimsOf(person(t, "greta@globex.example").ID()), func(tx pgx.Tx) {
		var roles []string
		require.NoError(t, tx.QueryRow(t.Context(), `SELECT role_names FROM app.role_standing($1)`, ana).Scan(&roles))
		require.Empty(t, roles, "another organisation's roles")
	})
}
