package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// matrix says what everybody may do with the rows of his own organisation: Select, Insert, Update, Delete. A capital is for
// all rows, a small letter for his own or for some of them, a dash for none. "handler" is a recruiter's event being
// handled, "system" the system's; "worker" is the worker's bare login. The API's bare login may do nothing.
//
//nolint:dupword // that is how it is
const matrix = `
                       super_admin admin recruiter bench_sales trainer hr_manager student employee candidate client handler system worker
audit_logs             S---        S---  ----      ----        ----    ----       ----    ----     ----      ----   ----    S---   ----
event_attempts         S---        S---  ----      ----        ----    ----       ----    ----     ----      ----   ----    S---   SI--
event_cascades         ----        ----  ----      ----        ----    ----       ----    ----     ----      ----   ----    ----   ----
event_deliveries       S---        S---  ----      ----        ----    ----       ----    ----     ----      ----   ----    S---   SIU-
event_idempotency_keys SI--        SI--  SI--      SI--        SI--    SI--       SI--    SI--     SI--      SI--   SI--    SI--   ----
event_outbox           ----        ----  ----      ----        ----    ----       ----    ----     ----      ----   ----    ----   S-UD
event_replay_batches   S---        S---  ----      ----        ----    ----       ----    ----     ----      ----   ----    S---   ----
event_replays          S---        S---  ----      ----        ----    ----       ----    ----     ----      ----   ----    S---   S-U-
event_rollup_marks     ----        ----  ----      ----        ----    ----       ----    ----     ----      ----   ----    ----   SI-D
event_rollups          S---        S---  ----      ----        ----    ----       ----    ----     ----      ----   ----    S---   SIUD
event_subscriptions    S-U-        S-U-  ----      ----        ----    ----       ----    ----     ----      ----   ----    S-U-   S-U-
events                 SI--        SI--  -i--      -i--        ----    ----       ----    ----     ----      -i--   -i--    SI--   S-U-
jobs                   SIU-        SIU-  SIU-      SIU-        ----    S---       ----    S---     S---      siu-   SIU-    SIU-   ----
organizations          S---        S---  S---      S---        S---    S---       S---    S---     S---      S---   S---    S---   S---
outgoing_mails         ----        ----  ----      ----        ----    ----       ----    ----     ----      ----   -I--    -I--   S-U-
placements             SI--        SI--  SI--      SI--        S---    S---       ----    ----     ----      ----   SI--    S---   ----
pod_metrics            S---        S---  S---      S---        S---    S---       ----    ----     ----      ----   S---    S---   ----
user_profiles          SIU-        SIU-  siu-      s-u-        siu-    SIU-       s-u-    s-u-     s-u-      s-u-   siu-    SIU-   ----
user_roles             S---        S---  s---      s---        s---    S---       s---    s---     s---      s---   s---    S---   ----
`

func TestSchema_Matrix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api, worker := w.login(t, postgres.LoginAPI), w.login(t, postgres.LoginWorker)
	want := strings.Split(strings.Trim(matrix, "\n"), "\n")
	who := strings.Fields(want[0])
	got := []string{want[0]}
	for _, table := range tenantTables(t, w.Admin) {
		cells := []string{}
		cell := func(me any) func(tx pgx.Tx) {
			return func(tx pgx.Tx) { cells = append(cells, w.cell(t, tx, table, me)) }
		}
		for _, role := range who {
			switch role {
			case "handler":
				as(t, worker, claimsOf(w.A.Recruiter), cell(w.A.Recruiter))
			case "system":
				as(t, worker, claimsOfSystem(w.A.Org), cell(nil))
			case "worker":
				asRole(t, worker, "none", "", cell(nil))
			default:
				p := person(t, role)
				as(t, api, claimsOf(p.ID()), cell(p.ID()))
			}
		}
		var line strings.Builder
		line.WriteString(table)
		for i, c := range cells {
			// Each cell stands below its title.
			line.WriteString(strings.Repeat(" ", strings.Index(want[0]+" ", " "+who[i]+" ")+1-line.Len()) + c)
		}
		got = append(got, line.String())
	}
	require.Equal(t, strings.Join(want, "\n"), strings.Join(got, "\n"))
}

// cell is what somebody may do with a table.
func (w *world) cell(t *testing.T, tx pgx.Tx, table string, me any) string {
	t.Helper()
	is := tenantColumn(table)
	all := w.count(t, `SELECT count(*) FROM `+table+` WHERE `+is+` = $1`, w.A.Org)
	letter := func(n int, err error, letter string) string {
		switch {
		case err != nil:
			requireState(t, stateDenied, err, table)
			return "-"
		case n == 0:
			return "-"
		case n < all:
			return strings.ToLower(letter)
		}
		return letter
	}
	args := writesTo(w.A, me, w.A)
	selected, err := tryCount(t, tx, `SELECT count(*) FROM `+table+` WHERE `+is+` = @org`, args)
	answer := letter(selected, err, "S")

	write := writes()[table]
	_, err = try(t, tx, write.insert, args)
	insert := letter(all, err, "I")
	if insert == "-" && write.insertOwn != "" && me != nil {
		_, err = try(t, tx, write.insertOwn, args)
		insert = letter(all-1, err, "I")
		if all == 1 && err == nil {
			insert = "i"
		}
	}
	answer += insert
	updated, err := try(t, tx, `UPDATE `+table+` SET `+write.update, args)
	answer += letter(int(updated), err, "U")
	deleted, err := try(t, tx, `DELETE FROM `+table, args)
	return answer + letter(int(deleted), err, "D")
}

// The columns that the logins may write, where it is not all of them.
func TestSchema_Columns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Equal(t, []string{
		"authenticated INSERT events: causation_id, correlation_id, created_by, depth, id, metadata, org_id, payload, " +
			"schema_version, source, type",
		"authenticated INSERT outgoing_mails: dedup_key, html_body, org_id, recipient, recipient_name, subject, text_body",
		"authenticated INSERT placements: candidate_id, id, job_id, org_id, placed_by, previous_status",
		"authenticated INSERT user_profiles: avatar_url, candidate_experience_years, candidate_resume_url, candidate_skills, " +
			"candidate_status, client_company_name, client_industry, client_tier, email, employee_department, employee_hire_date, " +
			"employee_position, full_name, id, org_id, phone, student_course_progress, student_current_module, student_enrollment_date",
		"authenticated INSERT user_roles: granted_by, id, org_id, role_name, user_id",
		"authenticated UPDATE event_subscriptions: auto_disabled_at, disabled_at, disabled_by, disabled_reason, " +
			"failing_events, is_active",
		"authenticated UPDATE user_profiles: avatar_url, candidate_experience_years, candidate_ready_for_placement, " +
			"candidate_resume_url, candidate_skills, candidate_status, deleted_at, full_name, is_active, onboarding_completed_at, phone, " +
			"student_course_progress, student_current_module, student_enrollment_date, student_graduation_date, updated_at, version",
		"intime_bookkeeper INSERT events: correlation_id, id, org_id, payload, schema_version, source, type",
		"intime_bookkeeper INSERT user_roles: granted_by, org_id, role_name, user_id",
		"intime_bookkeeper UPDATE event_outbox: is_requeued",
		"intime_bookkeeper UPDATE events: changed_xid, error_message, metadata, processed_at, retry_count, status",
		"intime_bookkeeper UPDATE organizations: settings, updated_at",
		"intime_bookkeeper UPDATE pod_metrics: bench_placements_count, last_placed_at, placements_count, updated_at",
		"intime_bookkeeper UPDATE user_profiles: candidate_ready_for_placement, candidate_skills, candidate_status, updated_at, version",
		"intime_bookkeeper UPDATE user_roles: expires_at",
		"intime_worker UPDATE event_replays: error_message, finished_at, job_due_at, status",
		"intime_worker UPDATE events: changed_xid, error_message, processed_at, retry_count, status",
		"intime_worker UPDATE outgoing_mails: attempt_count, error_message, next_attempt_at, sent_at, status",
	}, column[string](t, w.Admin, `
		SELECT format('%s %s %s: %s', a.grantee::regrole, a.privilege_type, attrelid::regclass, string_agg(attname, ', ' ORDER BY attname))
		FROM pg_attribute, aclexplode(attacl) a WHERE attrelid::regclass::text NOT LIKE 'pg_%'
		GROUP BY a.grantee, a.privilege_type, attrelid ORDER BY 1`))
	worker := w.login(t, postgres.LoginWorker)
	for _, sql := range []string{
		`UPDATE events SET payload = '{}'`, `UPDATE events SET org_id = org_id`, `UPDATE events SET created_by = NULL`,
		`UPDATE outgoing_mails SET recipient = 'me@example.com'`, `DELETE FROM events`, `DELETE FROM outgoing_mails`,
	} {
		_, err := worker.Exec(t.Context(), sql)
		requireState(t, stateDenied, err, sql)
	}
}

// A person writes in his own name, under an id of this time.
func TestSchema_PublishesAsHimself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	insert := `INSERT INTO events (id, org_id, type, payload, created_by, source, correlation_id)
		VALUES (%s, @org, %s, '{}', %s, 'api', gen_random_uuid())`
	args := pgx.NamedArgs{"org": w.A.Org, "me": w.A.Recruiter, "other": w.A.Client}
	as(t, w.login(t, postgres.LoginAPI), claimsOf(w.A.Recruiter), func(tx pgx.Tx) {
		publish := func(id, eventType, by string) error {
			sql := strings.NewReplacer("%s, @org, %s", id+", @org, "+eventType, ", %s, 'api'", ", "+by+", 'api'").Replace(insert)
			_, err := try(t, tx, sql, args)
			return err
		}
		require.NoError(t, publish("app.uuid_v7()", "'job.created'", "@me"))
		requireState(t, stateDenied, publish("app.uuid_v7()", "'job.created'", "@other"), "in somebody else's name")
		requireState(t, stateDenied, publish("app.uuid_v7()", "'job.created'", "NULL"), "in nobody's name")
		requireState(t, stateDenied, publish("app.uuid_v7()", "'system.probe'", "@me"), "a type he may not publish")
		requireState(t, stateDenied, publish("app.uuid_v7()", "'no.such'", "@me"), "an unknown type")
		for _, at := range []string{"now() - interval '1 hour'", "now() + interval '1 hour'", "'2001-01-01'", "'3001-01-01'"} {
			requireState(t, stateDenied, publish("app.uuid_v7_floor("+at+")", "'job.created'", "@me"), at)
		}
		requireState(t, stateDenied, publish("gen_random_uuid()", "'job.created'", "@me"), "an id that is no time")
		for _, at := range []string{"now() - interval '9 minutes'", "now() + interval '9 minutes'"} {
			require.NoError(t, publish("app.uuid_v7_floor("+at+")", "'job.created'", "@me"), at)
		}
	})
}
