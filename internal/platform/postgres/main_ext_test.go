package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

func TestMain(m *testing.M) { apptest.Main(m) }

// SQLSTATEs that the tests expect.
const (
	stateDenied     = "42501"
	stateForeignKey = "23503"
	stateUnique     = "23505"
	stateCheck      = "23514"
)

// world is a database with rows of both demo organisations in every tenant table.
type world struct {
	URL   string    // the superuser's
	Admin *pgx.Conn // the superuser, whom nothing holds back
	A, B  tenant
}

// tenant is one of the organisations, and what it has.
type tenant struct {
	Org       uuid.UUID
	People    []demo.Person
	Recruiter uuid.UUID
	Client    uuid.UUID // the client of ClientJob
	Job       uuid.UUID // a job without a client
	ClientJob uuid.UUID
	Event     uuid.UUID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{URL: apptest.Database(t)}
	w.Admin = apptest.Connect(t, w.URL)
	organizations := demo.Organizations()
	w.A = w.arrange(t, organizations[0], "rita@acme.example", "clive@acme.example")
	w.B = w.arrange(t, organizations[1], "gus@globex.example", "greta@globex.example")
	return w
}

func (w *world) arrange(t *testing.T, o demo.Organization, recruiter, client string) tenant {
	t.Helper()
	to := tenant{Org: o.ID(), Recruiter: person(t, recruiter).ID(), Client: person(t, client).ID()}
	for _, p := range demo.People() {
		if p.Organization == o {
			to.People = append(to.People, p)
		}
	}
	args := pgx.NamedArgs{"org": to.Org, "recruiter": to.Recruiter, "client": to.Client}
	job := `INSERT INTO jobs (org_id, client_id, title, description, required_skills, location, created_by)
		VALUES (@org, %s, 'Backend developer', 'Writes services in Go.', '{Go}', 'Lisbon', @recruiter) RETURNING id`
	w.scan(t, fmt.Sprintf(job, "NULL"), args, &to.Job)
	w.scan(t, fmt.Sprintf(job, "@client"), args, &to.ClientJob)
	w.scan(t, `INSERT INTO events (org_id, type, payload, created_by, source, correlation_id)
		VALUES (@org, 'job.created', '{}', @recruiter, 'api', app.uuid_v7()) RETURNING id`, args, &to.Event)
	args["event"], args["job"] = to.Event, to.Job
	for _, sql := range []string{
		`INSERT INTO event_deliveries (event_id, handler_name, org_id, max_attempts) VALUES (@event, 'arranged', @org, 3)`,
		`INSERT INTO event_attempts (event_id, handler_name, number, org_id, outcome, started_at)
			VALUES (@event, 'arranged', 1, @org, 'failed', now())`,
		`INSERT INTO event_rollups (org_id, grain, bucket, event_type, handler_name, total, succeeded, dead_lettered, skipped,
			unfinished, failed_attempts, wait_us, run_us, handled_us)
			VALUES (@org, 'hour', '2001-01-01', 'job.created', 'arranged', 1, 1, 0, 0, 0, 0, 0, 0, 0)`,
		`INSERT INTO event_rollup_marks (org_id, bucket) VALUES (@org, '2001-01-01')`,
		`INSERT INTO event_idempotency_keys (org_id, key, event_id, payload_hash) VALUES (@org, 'arranged', @event, '\x00')`,
		`WITH r AS (
			INSERT INTO event_replays (org_id, mode, filter, summary, event_count, delivery_count, batch_count, expires_at, created_by)
			VALUES (@org, 'failed', '{}', '{}', 1, 1, 1, now(), @recruiter) RETURNING org_id, id
		) INSERT INTO event_replay_batches (org_id, replay_id, number, event_ids, handler_names)
			SELECT org_id, id, 1, ARRAY[@event]::uuid[], '{arranged}' FROM r`,
		`INSERT INTO event_cascades (org_id, correlation_id, publication_count) VALUES (@org, @event, 1)`,
		`INSERT INTO outgoing_mails (org_id, dedup_key, recipient, subject, text_body, html_body)
			VALUES (@org, 'arranged', 'someone@example.com', 'Hello', '', '')`,
		`INSERT INTO placements (org_id, candidate_id, job_id, placed_by, previous_status)
			VALUES (@org, @client, @job, @recruiter, 'bench')`,
		`INSERT INTO pod_metrics (org_id, month, recruiter_id) VALUES (@org, '2026-01-01', @recruiter)`,
	} {
		w.exec(t, sql, args)
	}
	return to
}

// exec runs a statement as the superuser.
func (w *world) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := w.Admin.Exec(t.Context(), sql, args...)
	require.NoError(t, err, sql)
}

// scan reads one row as the superuser.
func (w *world) scan(t *testing.T, sql string, args any, into ...any) {
	t.Helper()
	var arguments []any
	if args != nil {
		arguments = []any{args}
	}
	require.NoError(t, w.Admin.QueryRow(t.Context(), sql, arguments...).Scan(into...), sql)
}

// count counts as the superuser.
func (w *world) count(t *testing.T, sql string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, w.Admin.QueryRow(t.Context(), sql, args...).Scan(&n), sql)
	return n
}

// login connects as a login, without a role and without claims.
func (w *world) login(t *testing.T, login postgres.Login) *pgx.Conn {
	t.Helper()
	url, err := postgres.LoginURL(w.URL, login)
	require.NoError(t, err)
	return apptest.Connect(t, url)
}

// open opens a login's pool.
func (w *world) open(t *testing.T, login postgres.Login, config postgres.Config) *postgres.DB {
	t.Helper()
	return open(t, w.URL, login, config)
}

func open(t *testing.T, adminURL string, login postgres.Login, config postgres.Config) *postgres.DB {
	t.Helper()
	var err error
	config.URL, err = postgres.LoginURL(adminURL, login)
	require.NoError(t, err)
	db, err := postgres.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

// person is a demo person, by address or role.
func person(t *testing.T, emailOrRole string) demo.Person {
	t.Helper()
	p, ok := demo.Find(emailOrRole)
	require.True(t, ok, "there is no demo person %s", emailOrRole)
	return p
}

// onBehalf is a context of a demo person, by address or role.
func onBehalf(t *testing.T, emailOrRole string) context.Context {
	t.Helper()
	p := person(t, emailOrRole)
	return principal.With(t.Context(), principal.Principal{UserID: p.ID(), OrgID: p.Organization.ID()})
}

// claimsOf are the claims of a person's request, and claimsOfSystem those of the system itself.
func claimsOf(user uuid.UUID) string {
	return claims(map[string]any{"sub": user, "role": "authenticated"})
}

func claimsOfSystem(org uuid.UUID) string {
	return claims(map[string]any{"actor": "system", "org_id": org, "role": "authenticated"})
}

func claims(values map[string]any) string {
	data, err := json.Marshal(values)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// as runs fn as the role authenticated with the claims, in a transaction that is rolled back: what the schema itself
// permits, whatever Go code there is around it.
func as(t *testing.T, conn *pgx.Conn, claims string, fn func(tx pgx.Tx)) {
	t.Helper()
	asRole(t, conn, "authenticated", claims, fn)
}

func asRole(t *testing.T, conn *pgx.Conn, role, claims string, fn func(tx pgx.Tx)) {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
	_, err = tx.Exec(t.Context(), `SELECT set_config('request.jwt.claims', $1, true), set_config('role', $2, true)`, claims, role)
	require.NoError(t, err)
	fn(tx)
}

// try runs a statement in a savepoint that is rolled back, and returns how many rows it touched or why it was refused.
func try(t *testing.T, tx pgx.Tx, sql string, args ...any) (int64, error) {
	t.Helper()
	savepoint, err := tx.Begin(t.Context())
	require.NoError(t, err)
	tag, refused := savepoint.Exec(t.Context(), sql, args...)
	require.NoError(t, savepoint.Rollback(t.Context()))
	return tag.RowsAffected(), refused
}

// tryCount counts in a savepoint; refused is an error of Postgres.
func tryCount(t *testing.T, tx pgx.Tx, sql string, args ...any) (int, error) {
	t.Helper()
	savepoint, err := tx.Begin(t.Context())
	require.NoError(t, err)
	var n int
	refused := savepoint.QueryRow(t.Context(), sql, args...).Scan(&n)
	require.NoError(t, savepoint.Rollback(t.Context()))
	return n, refused
}

// state is an error's SQLSTATE; empty for none.
func state(err error) string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.Code
	}
	return ""
}

// requireState requires an error of Postgres with that SQLSTATE.
func requireState(t *testing.T, want string, err error, explanation ...any) {
	t.Helper()
	require.Error(t, err, explanation...)
	require.Equal(t, want, state(err), "%v %v", err, explanation)
}

// column reads the one column of a query.
func column[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) []T {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	require.NoError(t, err, sql)
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err, sql)
	return values
}

// tenantTables are the tables of schema public that belong to tenants.
func tenantTables(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	return column[string](t, conn, `
		SELECT c.relname FROM pg_class c
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> ALL ($1)
		ORDER BY 1`, catalogues)
}

// catalogues are the tables of schema public that are the same for every organisation.
var catalogues = []string{"goose_db_version", "permissions", "role_permissions", "roles"}

// tenantColumn is the column with the organisation.
func tenantColumn(table string) string {
	if table == "organizations" {
		return "id"
	}
	return "org_id"
}
