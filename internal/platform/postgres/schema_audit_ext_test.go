package postgres_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// auditRow is what the tests look at in a row of the audit log.
type auditRow struct {
	OrgID         uuid.UUID
	ActorID       *uuid.UUID
	ActorKind     string
	Action        string
	TableName     string
	OldTitle      *string
	NewTitle      *string
	ChangedFields []string
	RequestID     *string
	IP            *string
	UserAgent     *string
	Severity      string
}

// audit is the audit log of a record, oldest first.
func (w *world) audit(t *testing.T, record uuid.UUID) []auditRow {
	t.Helper()
	rows, err := w.Admin.Query(t.Context(), `
		SELECT org_id, actor_id, actor_kind, action, table_name, old_values ->> 'title' AS old_title,
			new_values ->> 'title' AS new_title, changed_fields, request_id, host(ip_address) AS ip, user_agent, severity
		FROM audit_logs WHERE record_id = $1 ORDER BY created_at, id`, record.String())
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[auditRow])
	require.NoError(t, err)
	return found
}

func TestSchema_Audit_Job(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginAPI, postgres.Config{MaxConns: 1})
	ctx := principal.WithRequest(onBehalf(t, "rita@acme.example"), principal.Request{
		ID: "request-1", IP: "192.0.2.7", UserAgent: `a "browser"`, Procedure: "/x/Y",
	})
	args := writesTo(w.A, w.A.Recruiter, w.A)
	var job uuid.UUID
	for _, sql := range []string{
		writes()["jobs"].insert + ` RETURNING id`,
		`UPDATE jobs SET title = 'Senior developer', remote_allowed = true, version = version + 1 WHERE id = @id RETURNING id`,
		`UPDATE jobs SET title = title WHERE id = @id RETURNING id`, // nothing changes: nothing to note
		`UPDATE jobs SET deleted_at = now() WHERE id = @id RETURNING id`,
	} {
		args["id"] = job
		require.NoError(t, db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			return tx.QueryRow(ctx, sql, args).Scan(&job)
		}))
	}
	rows := w.audit(t, job)
	require.Len(t, rows, 3)
	for i, want := range []struct {
		action       string
		before, now  *string
		changedField []string
	}{
		{"job.created", nil, new("Backend developer"), nil},
		{"job.updated", new("Backend developer"), new("Senior developer"), []string{"remote_allowed", "title", "version"}},
		{"job.deleted", new("Senior developer"), new("Senior developer"), []string{"deleted_at"}},
	} {
		require.Equal(t, auditRow{
			OrgID: w.A.Org, ActorID: &w.A.Recruiter, ActorKind: "user", Action: want.action, TableName: "jobs",
			OldTitle: want.before, NewTitle: want.now, ChangedFields: want.changedField,
			RequestID: new("request-1"), IP: new("192.0.2.7"), UserAgent: new(`a "browser"`), Severity: "info",
		}, rows[i])
	}
	require.Zero(t, w.count(t, `SELECT count(*) FROM audit_logs WHERE new_values ?| ARRAY['search_text', 'required_skill_keys']`),
		"derived columns are left out")
}

// What is rolled back leaves no trace; a change and its audit row are one.
func TestSchema_Audit_RolledBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.count(t, `SELECT count(*) FROM audit_logs`)
	as(t, w.login(t, postgres.LoginAPI), claimsOf(w.A.Recruiter), func(tx pgx.Tx) {
		n, err := try(t, tx, `UPDATE jobs SET title = 'x'`)
		require.NoError(t, err)
		require.EqualValues(t, 2, n)
	})
	require.Equal(t, before, w.count(t, `SELECT count(*) FROM audit_logs`))
}

func TestSchema_Audit_RoleAndOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := person(t, "admin").ID()
	var role, organization uuid.UUID
	// An operator at the database's prompt.
	w.scan(t, `INSERT INTO user_roles (org_id, user_id, role_name) VALUES (@org, @user, 'employee') RETURNING id`,
		pgx.NamedArgs{"org": w.A.Org, "user": w.A.Client}, &role)
	w.scan(t, `INSERT INTO organizations (name, slug) VALUES ('New', 'new') RETURNING id`, nil, &organization)
	// A person, and then the system.
	for _, claims := range []string{
		claims(map[string]any{"sub": admin, "request_id": "request-2"}), claimsOfSystem(w.A.Org),
	} {
		require.NoError(t, pgx.BeginFunc(t.Context(), w.Admin, func(tx pgx.Tx) error {
			var batch pgx.Batch
			batch.Queue(`SELECT set_config('request.jwt.claims', $1, true)`, claims)
			batch.Queue(`UPDATE user_roles SET revoked_at = clock_timestamp(), revoked_by = $2 WHERE id = $1`, role, admin)
			batch.Queue(`UPDATE organizations SET settings = settings || jsonb_build_object('n', random()) WHERE id = $1`, organization)
			batch.Queue(`UPDATE organizations SET status = 'deleted', deleted_at = now() WHERE id = $1 AND deleted_at IS NULL`,
				organization)
			return tx.SendBatch(t.Context(), &batch).Close()
		}))
	}
	type short struct {
		org     uuid.UUID
		actor   *uuid.UUID
		kind    string
		action  string
		changed []string
		request *string
	}
	shorten := func(rows []auditRow) (all []short) {
		for _, r := range rows {
			all = append(all, short{r.OrgID, r.ActorID, r.ActorKind, r.Action, r.ChangedFields, r.RequestID})
		}
		return all
	}
	require.Equal(t, []short{
		{w.A.Org, nil, "operator", "user_role.created", nil, nil},
		{w.A.Org, &admin, "user", "user_role.updated", []string{"revoked_at", "revoked_by"}, new("request-2")},
		{w.A.Org, nil, "system", "user_role.updated", []string{"revoked_at"}, nil},
	}, shorten(w.audit(t, role)))
	require.Equal(t, []short{
		{organization, nil, "operator", "organization.created", nil, nil},
		{organization, &admin, "user", "organization.updated", []string{"settings"}, new("request-2")},
		{organization, &admin, "user", "organization.deleted", []string{"deleted_at", "status"}, new("request-2")},
		{organization, nil, "system", "organization.updated", []string{"settings"}, nil},
	}, shorten(w.audit(t, organization)))
	// A new organisation is subscribed to what there is, and that is noted too.
	handlers := w.count(t, `SELECT count(*) FROM app.event_handlers`)
	require.Positive(t, handlers)
	require.Equal(t, handlers, w.count(t, `SELECT count(*) FROM event_subscriptions WHERE org_id = $1`, organization))
	require.Equal(t, handlers, w.count(t, `SELECT count(*) FROM audit_logs WHERE org_id = $1 AND action = 'handler.created'`, organization))
}

// The counters of a subscription change with every delivery and are no news; who disabled it is.
func TestSchema_Audit_Subscription(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var subscription uuid.UUID
	w.scan(t, `SELECT id FROM event_subscriptions WHERE org_id = @org LIMIT 1`, pgx.NamedArgs{"org": w.A.Org}, &subscription)
	before := len(w.audit(t, subscription))
	worker := w.login(t, postgres.LoginWorker)
	_, err := worker.Exec(t.Context(), `UPDATE event_subscriptions
		SET failure_count = failure_count + 1, failing_events = ARRAY[id], last_failure_at = now() WHERE id = $1`, subscription)
	require.NoError(t, err)
	require.Len(t, w.audit(t, subscription), before)
	_, err = worker.Exec(t.Context(), `UPDATE event_subscriptions SET is_active = false, auto_disabled_at = now() WHERE id = $1`,
		subscription)
	require.NoError(t, err)
	rows := w.audit(t, subscription)
	require.Len(t, rows, before+1)
	last := rows[before]
	require.Equal(t, "handler.updated", last.Action)
	require.Equal(t, "system", last.ActorKind)
	require.Equal(t, []string{"auto_disabled_at", "is_active"}, last.ChangedFields)
}

// Not even the superuser changes what was written down.
func TestSchema_Audit_AppendOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.count(t, `SELECT count(*) FROM audit_logs`)
	statements := []string{
		`UPDATE audit_logs SET action = 'nothing'`, `DELETE FROM audit_logs`, `TRUNCATE audit_logs`, `TRUNCATE organizations CASCADE`,
		`INSERT INTO audit_logs SELECT * FROM audit_logs ON CONFLICT (org_id, id) DO UPDATE SET action = 'nothing'`,
	}
	partitions := column[string](t, w.Admin, `SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_logs'::regclass`)
	require.GreaterOrEqual(t, len(partitions), 5)
	// One that is made later is no different.
	w.exec(t, `SELECT app.make_partitions(5)`)
	later := column[string](t, w.Admin, `SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_logs'::regclass`)
	require.Len(t, later, len(partitions)+2)
	for _, partition := range later {
		statements = append(statements, `TRUNCATE `+partition)
		if w.count(t, `SELECT count(*) FROM `+partition) > 0 {
			statements = append(statements, `UPDATE `+partition+` SET action = 'nothing'`, `DELETE FROM `+partition)
		}
	}
	require.Greater(t, len(statements), 5+len(later), "a partition with rows was among them")
	for _, sql := range statements {
		_, err := w.Admin.Exec(t.Context(), sql)
		requireState(t, stateDenied, err, sql)
	}
	require.Equal(t, before, w.count(t, `SELECT count(*) FROM audit_logs`))
	// Nobody writes into it but the triggers.
	for _, login := range []postgres.Login{postgres.LoginAPI, postgres.LoginWorker} {
		conn := w.login(t, login)
		for _, role := range []string{"authenticated", "none"} {
			asRole(t, conn, role, claimsOf(person(t, "super_admin").ID()), func(tx pgx.Tx) {
				for _, sql := range append(statements, writes()["audit_logs"].insert) {
					_, err := try(t, tx, sql, writesTo(w.A, nil, w.A))
					if sql == statements[3] {
						require.Error(t, err)
						continue
					}
					requireState(t, stateDenied, err, login, role, sql)
				}
			})
		}
	}
}

// Whoever removes an organisation would remove what it did.
func TestSchema_Audit_OrganizationIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var organization uuid.UUID
	w.scan(t, `INSERT INTO organizations (name, slug) VALUES ('New', 'new') RETURNING id`, nil, &organization)
	_, err := w.Admin.Exec(t.Context(), `DELETE FROM organizations WHERE id = $1`, organization)
	requireState(t, stateForeignKey, err)
}
