package user_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
)

func idOf(t *testing.T, person string) string {
	t.Helper()
	p, ok := demo.Find(person)
	require.True(t, ok)
	return p.ID().String()
}

// add adds somebody to an organisation, by its slug, with what the SQL sets; it returns his id.
func add(t *testing.T, admin *pgx.Conn, slug, email, set string) string {
	t.Helper()
	id := apptest.One[string](t, admin, `
		INSERT INTO user_profiles (org_id, email, full_name) SELECT id, $2, 'New <b>Person</b>' FROM organizations WHERE slug = $1
		RETURNING id::text`, slug, email)
	if set != "" {
		require.Equal(t, int64(1), apptest.Exec(t, admin, `UPDATE user_profiles SET `+set+` WHERE id = $1`, id))
	}
	return id
}

func mailsTo(t *testing.T, admin *pgx.Conn) []string {
	t.Helper()
	return apptest.All[string](t, admin, `SELECT recipient || ': ' || subject FROM outgoing_mails ORDER BY recipient COLLATE "C"`)
}

func TestSendWelcomeEmail(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin := env.Admin(t)
	announce := func(person, id, role string) string {
		event := apptest.PublishAs(t, admin, person, "user.created", map[string]any{"userId": id, "role": role})
		apptest.Handled(t, admin, event)
		return event
	}
	id := add(t, admin, "acme", "nora@acme.example", "")
	event := announce("hr_manager", id, "bench_sales")
	want := []string{"nora@acme.example: Welcome to Acme Staffing"}
	require.Equal(t, want, mailsTo(t, admin))
	require.Contains(t, apptest.One[string](t, admin, `SELECT text_body FROM outgoing_mails`),
		"Hello New <b>Person</b>,\n\nAcme Staffing has made a profile for you as a bench sales.")
	require.Contains(t, apptest.One[string](t, admin, `SELECT html_body FROM outgoing_mails`), "Hello New &lt;b&gt;Person&lt;/b&gt;,")
	apptest.Rerun(t, admin, event)
	announce("admin", id, "")
	require.Equal(t, want, mailsTo(t, admin), "welcome once")

	// Whom the publisher does not see, nobody writes to.
	for name, id := range map[string]string{
		"another organisation's": add(t, admin, "globex", "foreign@acme.example", ""),
		"deleted":                add(t, admin, "acme", "deleted@acme.example", "deleted_at = now()"),
		"inactive":               add(t, admin, "acme", "inactive@acme.example", "is_active = false"),
	} {
		announce("hr_manager", id, "")
		require.Equal(t, want, mailsTo(t, admin), name)
	}
	// A trainer sees students and a recruiter candidates; neither sees the other's.
	announce("trainer", add(t, admin, "acme", "o1@acme.example", "student_enrollment_date = now()"), "student")
	announce("recruiter", add(t, admin, "acme", "o2@acme.example", "candidate_status = 'active'"), "candidate")
	announce("recruiter", add(t, admin, "acme", "o3@acme.example", ""), "admin")
	require.Equal(t, append(want, "o1@acme.example: Welcome to Acme Staffing", "o2@acme.example: Welcome to Acme Staffing"),
		mailsTo(t, admin))
}

func TestNotifyTeam(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin := env.Admin(t)
	// Sam, a student, sees neither the admins nor the HR managers.
	event := apptest.PublishAs(t, admin, "student", "user.onboarding_completed", map[string]any{"userId": idOf(t, "student")})
	apptest.Handled(t, admin, event)
	want := []string{
		"ana@acme.example: Sam Student has completed onboarding", "hana@acme.example: Sam Student has completed onboarding",
	}
	require.Equal(t, want, mailsTo(t, admin))
	require.Contains(t, apptest.One[string](t, admin, `SELECT text_body FROM outgoing_mails WHERE recipient = 'ana@acme.example'`),
		"Hello Ana Admin,\n\nSam Student (sam@acme.example) has completed the onboarding.")
	apptest.Rerun(t, admin, event)
	require.Equal(t, want, mailsTo(t, admin), "each is told once")

	// Of somebody whom he does not see he tells nothing, and nothing of another organisation's.
	for _, id := range []string{idOf(t, "trainer"), idOf(t, "gus@globex.example")} {
		apptest.Handled(t, admin, apptest.PublishAs(t, admin, "student", "user.onboarding_completed", map[string]any{"userId": id}))
	}
	require.Equal(t, want, mailsTo(t, admin))
	apptest.Handled(t, admin, apptest.PublishAs(t, admin, "gus@globex.example", "user.onboarding_completed",
		map[string]any{"userId": idOf(t, "gus@globex.example")}))
	require.ElementsMatch(t, append(want, "greta@globex.example: Gus Recruiter has completed onboarding"), mailsTo(t, admin))
}
