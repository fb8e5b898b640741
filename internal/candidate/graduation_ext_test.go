package candidate_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"google.golang.org/protobuf/types/known/structpb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

const student = "student_enrollment_date = current_date"

// graduate publishes the graduation as the trainer, whose rights end there, and waits until it was handled.
func graduate(t *testing.T, admin *pgx.Conn, id string, grade int) string {
	t.Helper()
	event := apptest.PublishAs(t, admin, "trainer", "course.graduated", map[string]any{"studentId": id, "grade": grade})
	apptest.Handled(t, admin, event)
	return event
}

// profile is what graduating changes of a person.
type profile struct {
	Status  *string
	Skills  []string
	Ready   bool
	Version int64
	Roles   []string
}

func profileOf(t *testing.T, admin *pgx.Conn, id string) profile {
	t.Helper()
	rows, err := admin.Query(t.Context(), `
		SELECT candidate_status AS status, candidate_skills AS skills, candidate_ready_for_placement AS ready, version,
			array(SELECT role_name FROM user_roles r WHERE r.user_id = p.id AND revoked_at IS NULL
				AND (expires_at IS NULL OR expires_at > now()) ORDER BY 1) AS roles
		FROM user_profiles p WHERE id = $1`, id)
	require.NoError(t, err)
	p, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[profile])
	require.NoError(t, err)
	return p
}

var course = []string{"Guidewire PolicyCenter", "Gosu", "Java"}

func TestCreateCandidateProfile(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	for name, c := range map[string]struct {
		set   string
		grade int
		want  profile
	}{
		"passed": {student, 79, profile{Status: new("bench"), Skills: course, Version: 2}},
		"ready":  {student, 80, profile{Status: new("bench"), Skills: course, Ready: true, Version: 2}},
		"failed": {student, 0, profile{Status: new("bench"), Skills: course, Version: 2}},
		"active": {student + ", candidate_status = 'active'", 100, profile{
			Status: new("bench"), Skills: course, Ready: true,
			Version: 2,
		}},
		"placed": {student + ", candidate_status = 'placed'", 100, profile{
			Status: new("placed"), Skills: course, Ready: true,
			Version: 2,
		}},
		"barred": {student + ", candidate_status = 'blacklisted'", 0, profile{Status: new("blacklisted"), Skills: course, Version: 2}},
		"stays ready": {
			student + ", candidate_ready_for_placement = true", 10,
			profile{Status: new("bench"), Skills: course, Ready: true, Version: 2},
		},
		"knows some": {
			student + ", candidate_skills = '{COBOL,\" java \",GOSU}'", 50,
			profile{Status: new("bench"), Skills: []string{"COBOL", " java ", "GOSU", "Guidewire PolicyCenter"}, Version: 2},
		},
		"knows a hundred": {
			student + ", candidate_skills = array(SELECT 'Skill ' || i FROM generate_series(1, 100) i)", 50,
			profile{Status: new("bench"), Version: 2},
		},
		"no change": {
			student + ", candidate_status = 'bench', candidate_skills = '{Gosu,Java,guidewire policycenter}'", 50,
			profile{Status: new("bench"), Skills: []string{"Gosu", "Java", "guidewire policycenter"}, Version: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			admin := env.Admin(t)
			id := addPerson(t, admin, "acme", name+"@graduates.example", c.set)
			event := graduate(t, admin, id, c.grade)
			got := profileOf(t, admin, id)
			if name == "knows a hundred" {
				require.Len(t, got.Skills, 100)
				require.Equal(t, course, got.Skills[97:])
				got.Skills = nil
			}
			c.want.Roles = []string{"candidate"}
			require.Equal(t, c.want, got)
			require.Equal(t, idOf(t, "trainer"), apptest.One[string](t, admin,
				`SELECT granted_by::text FROM user_roles WHERE user_id = $1`, id))

			apptest.Rerun(t, admin, event)
			again := profileOf(t, admin, id)
			if name == "knows a hundred" {
				again.Skills = nil
			}
			require.Equal(t, c.want, again, "twice is once")
			require.Equal(t, 1, apptest.One[int](t, admin, `SELECT count(*) FROM user_roles WHERE user_id = $1`, id))
		})
	}
	t.Run("AnExpiredRoleIsGivenAnew", func(t *testing.T) {
		t.Parallel()
		admin := env.Admin(t)
		id := addPerson(t, admin, "acme", "expired@graduates.example", student)
		apptest.Exec(t, admin, `INSERT INTO user_roles (org_id, user_id, role_name, expires_at)
			SELECT org_id, id, 'candidate', now() - interval '1 day' FROM user_profiles WHERE id = $1`, id)
		graduate(t, admin, id, 50)
		require.Equal(t, []string{"candidate"}, profileOf(t, admin, id).Roles)
	})
	t.Run("NobodyElse", func(t *testing.T) {
		t.Parallel()
		admin := env.Admin(t)
		for name, id := range map[string]string{
			"no student":                 addPerson(t, admin, "acme", "nobody@graduates.example", ""),
			"deleted":                    addPerson(t, admin, "acme", "gone@graduates.example", student+", deleted_at = now()"),
			"another organisation's":     addPerson(t, admin, "globex", "foreign@graduates.example", student),
			"a trainer's own promotion?": idOf(t, "trainer"),
		} {
			before := profileOf(t, admin, id)
			event := graduate(t, admin, id, 100)
			require.Equal(t, before, profileOf(t, admin, id), name)
			require.Empty(t, told(t, admin, event), name)
		}
	})
}

func TestNotifyRecruitingTeam(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin := env.Admin(t)
	for email, sql := range map[string]string{
		"inactive@team.example": `UPDATE user_profiles SET is_active = false WHERE id = $1`,
		"deleted@team.example":  `UPDATE user_profiles SET deleted_at = now() WHERE id = $1`,
		"expired@team.example":  `UPDATE user_roles SET expires_at = now() - interval '1 s' WHERE user_id = $1`,
		"revoked@team.example":  `UPDATE user_roles SET revoked_at = now() WHERE user_id = $1`,
	} {
		id := addPerson(t, admin, "acme", email, "")
		apptest.Exec(t, admin, `INSERT INTO user_roles (org_id, user_id, role_name)
			SELECT org_id, id, 'recruiter' FROM user_profiles WHERE id = $1`, id)
		require.Equal(t, int64(1), apptest.Exec(t, admin, sql, id))
	}
	id := addPerson(t, admin, "acme", "sonja@graduates.example", student+", full_name = 'Sonja <b>Student</b>'")
	event := graduate(t, admin, id, 91)
	team := []string{"ben@acme.example", "rita@acme.example"}
	require.Equal(t, team, told(t, admin, event), "recruiters and bench sales of this organisation, as the trainer who sees neither")
	require.Equal(t, "Sonja <b>Student</b> has graduated and is ready for placement",
		apptest.One[string](t, admin, `SELECT DISTINCT subject FROM outgoing_mails`))
	text := apptest.One[string](t, admin, `SELECT text_body FROM outgoing_mails WHERE recipient = 'rita@acme.example'`)
	require.Contains(t, text, "Hello Rita Recruiter,")
	require.Contains(t, text, "91 of 100")
	require.Contains(t, text, "Guidewire PolicyCenter, Gosu and Java")
	html := apptest.One[string](t, admin, `SELECT html_body FROM outgoing_mails WHERE recipient = 'rita@acme.example'`)
	require.Contains(t, html, "Sonja &lt;b&gt;Student&lt;/b&gt;")

	apptest.Rerun(t, admin, event)
	require.Equal(t, team, told(t, admin, event), "each is told once")

	plain := graduate(t, admin, id, 79)
	require.Equal(t, "Sonja <b>Student</b> has graduated", apptest.One[string](t, admin, `
		SELECT DISTINCT subject
			FROM outgoing_mails m JOIN event_deliveries d ON m.dedup_key LIKE d.id || '/%' WHERE d.event_id = $1`, plain))
	require.Empty(t, apptest.All[string](t, admin, `
		SELECT recipient FROM outgoing_mails m JOIN organizations o ON o.id = m.org_id WHERE slug <> 'acme' OR recipient LIKE '%globex%'`))
}

// The functions that do more than the publisher may: not without a handler's login, not for another organisation's event,
// not for an event of another type.
func TestHandlersFunctions_Refuse(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin := env.Admin(t)
	graduated := graduate(t, admin, addPerson(t, admin, "acme", "sonja@graduates.example", student), 50)
	other := apptest.PublishAs(t, admin, "recruiter", "candidate.placed", map[string]any{
		"placementId": idOf(t, "recruiter"), "candidateId": idOf(t, "recruiter"), "jobId": idOf(t, "recruiter"),
	})
	before := apptest.One[int](t, admin, `SELECT (SELECT count(*) FROM user_roles) + (SELECT count(*) FROM pod_metrics)`)
	calls := map[string]struct{ right, wrong string }{
		`SELECT app.create_candidate_profile($1)`:                           {graduated, other},
		`SELECT app.update_pod_metrics($1)`:                                 {other, graduated},
		`SELECT count(*) FROM app.event_recipients($1, 'course.graduated')`: {graduated, other},
	}
	for sql, event := range calls {
		for name, c := range map[string]struct{ url, person, event string }{
			"through the API's login":     {env.Config.APIURL, "trainer", event.right},
			"an event of another type":    {env.Config.WorkerURL, "trainer", event.wrong},
			"another organisation's":      {env.Config.WorkerURL, "gus@globex.example", event.right},
			"another organisation's, too": {env.Config.WorkerURL, "greta@globex.example", event.right},
			"no event":                    {env.Config.WorkerURL, "trainer", idOf(t, "trainer")},
		} {
			require.ErrorContains(t, callAs(t, c.url, c.person, sql, c.event), "SQLSTATE 42501", "%s: %s", sql, name)
		}
		require.NoError(t, callAs(t, env.Config.WorkerURL, "trainer", sql, event.right), sql)
	}
	require.Equal(t, before, apptest.One[int](t, admin, `SELECT (SELECT count(*) FROM user_roles) + (SELECT count(*) FROM pod_metrics)`))
}

func callAs(t *testing.T, url, person, sql, event string) error {
	t.Helper()
	return pgx.BeginFunc(t.Context(), apptest.Connect(t, url), func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `SELECT set_config('request.jwt.claims', $1, true), set_config('role', 'authenticated', true)`,
			`{"role":"authenticated","sub":"`+idOf(t, person)+`"}`)
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), sql, event)
		return err
	})
}

// Payloads are checked where they are published.
func TestEvents_Rules(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana := env.As(t, "admin")
	for name, c := range map[string]struct {
		eventType string
		payload   map[string]any
		want      string
	}{
		"no student": {"course.graduated", map[string]any{"grade": 1}, "This is not the id of a student."},
		"no grade":   {"course.graduated", map[string]any{"studentId": idOf(t, "student")}, "required"},
		"grade above": {
			"course.graduated",
			map[string]any{"studentId": idOf(t, "student"), "grade": 101},
			"A grade is between 0 and 100.",
		},
		"grade below": {
			"course.graduated",
			map[string]any{"studentId": idOf(t, "student"), "grade": -1},
			"A grade is between 0 and 100.",
		},
		"no placement": {
			"candidate.placed",
			map[string]any{"candidateId": idOf(t, "candidate"), "jobId": idOf(t, "candidate")},
			"placement",
		},
		"no user":       {"user.created", map[string]any{}, "This is not the id of a person."},
		"nobody's user": {"user.onboarding_completed", map[string]any{"userId": "x"}, "This is not the id of a person."},
	} {
		_, err := ana.Events.PublishEvent(t.Context(), publishRequest(t, c.eventType, c.payload))
		require.ErrorContains(t, err, c.want, name)
	}
	_, err := ana.Events.PublishEvent(t.Context(), publishRequest(t, "course.graduated", map[string]any{"studentId": idOf(t,
		"student"), "grade": 0}))
	require.NoError(t, err)
}

func publishRequest(t *testing.T, eventType string, payload map[string]any) *eventv1.PublishEventRequest {
	t.Helper()
	encoded, err := structpb.NewStruct(payload)
	require.NoError(t, err)
	return &eventv1.PublishEventRequest{Type: eventType, Payload: encoded}
}
