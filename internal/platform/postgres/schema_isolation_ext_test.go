package postgres_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// attempts are statements that try to write to a table. @org is the organisation to write to, @user and @event are of that
// organisation, and @me is who writes.
type attempts struct{ insert, insertOwn, update string }

func writes() map[string]attempts {
	job := `INSERT INTO jobs (org_id, client_id, title, description, required_skills, location, created_by)
		VALUES (@org, %s, 'Backend developer', 'Writes services in Go.', '{Go}', 'Lisbon', @me)`
	event := `INSERT INTO events (org_id, type, payload, created_by, source, correlation_id)
		VALUES (@org, '%s', '{}', @me, 'api', gen_random_uuid())`
	return map[string]attempts{
		"organizations": {insert: `INSERT INTO organizations (name, slug) VALUES ('Mine', 'mine')`, update: "name = name"},
		"user_profiles": {
			insert: `INSERT INTO user_profiles (org_id, email, full_name) VALUES (@org, 'new@example.com', 'New')`,
			insertOwn: `INSERT INTO user_profiles (org_id, email, full_name, candidate_status)
				VALUES (@org, 'new@example.com', 'New', 'active')`,
			update: "full_name = full_name",
		},
		"user_roles": {
			insert: `INSERT INTO user_roles (org_id, user_id, role_name) VALUES (@org, @user, 'admin')`,
			update: "expires_at = expires_at",
		},
		"audit_logs": {
			insert: `INSERT INTO audit_logs (org_id, actor_kind, action, table_name) VALUES (@org, 'user', 'job.created', 'jobs')`,
			update: "action = action",
		},
		"jobs": {insert: fmt.Sprintf(job, "NULL"), insertOwn: fmt.Sprintf(job, "@me"), update: "title = title"},
		"event_subscriptions": {
			insert: `INSERT INTO event_subscriptions (org_id, event_type, handler_name, handler_function)
				VALUES (@org, 'job.created', 'mine', 'mine')`,
			update: "is_active = is_active",
		},
		"events": {
			insert: fmt.Sprintf(event, "system.probe"), insertOwn: fmt.Sprintf(event, "job.created"), update: "status = status",
		},
		"event_rollups": {
			insert: `INSERT INTO event_rollups (org_id, grain, bucket, event_type, handler_name, total, succeeded, dead_lettered, skipped,
					unfinished, failed_attempts, wait_us, run_us, handled_us)
				VALUES (@org, 'hour', '2001-01-01', 'job.created', 'mine', 1, 1, 0, 0, 0, 0, 0, 0, 0)`,
			update: "total = total",
		},
		"event_rollup_marks": {
			insert: `INSERT INTO event_rollup_marks (org_id, bucket) VALUES (@org, now())`, update: "bucket = bucket",
		},
		"event_outbox": {
			insert: `INSERT INTO event_outbox (org_id, event_id) VALUES (@org, gen_random_uuid())`,
			update: "is_requeued = is_requeued",
		},
		"event_idempotency_keys": {
			insert: `INSERT INTO event_idempotency_keys (org_id, key, event_id, payload_hash) VALUES (@org, 'mine', @event, '\x00')`,
			update: "key = key",
		},
		"event_deliveries": {
			insert: `INSERT INTO event_deliveries (event_id, handler_name, org_id, max_attempts) VALUES (@event, 'mine', @org, 3)`,
			update: "status = status",
		},
		"event_attempts": {
			insert: `INSERT INTO event_attempts (event_id, handler_name, number, org_id, outcome, started_at)
				VALUES (@event, 'mine', 1, @org, 'failed', now())`,
			update: "outcome = outcome",
		},
		"placements": {
			insert: `INSERT INTO placements (org_id, candidate_id, job_id, placed_by, previous_status)
				VALUES (@org, @user, @job, @me, 'bench')`,
			update: "placed_at = placed_at",
		},
		"pod_metrics": {
			insert: `INSERT INTO pod_metrics (org_id, month, recruiter_id) VALUES (@org, '2026-02-01', @user)`,
			update: "placements_count = placements_count",
		},
		"event_cascades": {
			insert: `INSERT INTO event_cascades (org_id, correlation_id) VALUES (@org, app.uuid_v7())`,
			update: "refused_count = refused_count",
		},
		"event_replays": {
			insert: `INSERT INTO event_replays (org_id, mode, filter, summary, event_count, delivery_count, batch_count, expires_at)
				VALUES (@org, 'failed', '{}', '{}', 1, 1, 1, now())`,
			update: "status = status",
		},
		"event_replay_batches": {
			insert: `INSERT INTO event_replay_batches (org_id, replay_id, number, event_ids, handler_names)
				VALUES (@org, @event, 1, '{}', '{}')`,
			update: "number = number",
		},
		"outgoing_mails": {
			insert: `INSERT INTO outgoing_mails (org_id, dedup_key, recipient, subject, text_body, html_body)
				VALUES (@org, 'mine', 'someone@example.com', 'Hello', '', '')`,
			update: "status = status",
		},
	}
}

func writesTo(from tenant, me any, to tenant) pgx.NamedArgs {
	return pgx.NamedArgs{"org": to.Org, "user": to.Recruiter, "event": to.Event, "job": to.Job, "me": me, "home": from.Org}
}

// identity is somebody's claims, and the login that they come through.
type identity struct {
	name, claims string
	me           any
	login        postgres.Login
}

// identities are everybody of an organisation, through both logins, and the system itself.
func identities(of tenant) []identity {
	all := []identity{{"the system", claimsOfSystem(of.Org), nil, postgres.LoginWorker}}
	for _, login := range []postgres.Login{postgres.LoginAPI, postgres.LoginWorker} {
		for _, p := range of.People {
			all = append(all, identity{p.Email + " through " + string(login), claimsOf(p.ID()), p.ID(), login})
		}
	}
	return all
}

// Whoever somebody is, another organisation's rows do not exist for him, and he leaves none there.
func TestSchema_OtherOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tables := tenantTables(t, w.Admin)
	require.Equal(t, tables, slices.Sorted(maps.Keys(writes())), "every tenant table is tried")
	for _, table := range tables {
		for _, of := range []tenant{w.A, w.B} {
			require.Positive(t, w.count(t, `SELECT count(*) FROM `+table+` WHERE `+tenantColumn(table)+` = $1`, of.Org),
				"%s has no rows to be seen: arrange some", table)
		}
	}
	for _, side := range [][2]tenant{{w.A, w.B}, {w.B, w.A}} {
		conns := map[postgres.Login]*pgx.Conn{
			postgres.LoginAPI: w.login(t, postgres.LoginAPI), postgres.LoginWorker: w.login(t, postgres.LoginWorker),
		}
		for _, who := range identities(side[0]) {
			as(t, conns[who.login], who.claims, func(tx pgx.Tx) {
				for _, table := range tables {
					requireIsolated(t, tx, table, who, side[0], side[1])
				}
			})
		}
	}
}

func requireIsolated(t *testing.T, tx pgx.Tx, table string, who identity, home, other tenant) {
	t.Helper()
	is := tenantColumn(table)
	args := writesTo(home, who.me, other)
	seen, err := tryCount(t, tx, `SELECT count(*) FROM `+table+` WHERE `+is+` = @org`, args)
	if err != nil {
		requireState(t, stateDenied, err, "%s reads %s", who.name, table)
	}
	require.Zero(t, seen, "%s reads %s", who.name, table)

	write := writes()[table]
	for _, insert := range []string{write.insert, write.insertOwn} {
		if insert != "" {
			_, err := try(t, tx, insert, args)
			requireState(t, stateDenied, err, who.name, insert)
		}
	}
	for _, change := range []string{
		`UPDATE ` + table + ` SET ` + write.update + ` WHERE ` + is + ` = @org`,
		`UPDATE ` + table + ` SET ` + is + ` = @org WHERE ` + is + ` = @home`,
		`UPDATE ` + table + ` SET ` + is + ` = @org`,
		`UPDATE ` + table + ` SET ` + is + ` = @home WHERE ` + is + ` = @org`,
		`DELETE FROM ` + table + ` WHERE ` + is + ` = @org`,
	} {
		touched, err := try(t, tx, change, args)
		if err != nil {
			requireState(t, stateDenied, err, who.name, change)
		}
		require.Zero(t, touched, "%s: %s", who.name, change)
	}
	for _, change := range []string{`TRUNCATE ` + table + ` CASCADE`, `ALTER TABLE ` + table + ` DISABLE ROW LEVEL SECURITY`} {
		_, err = try(t, tx, change)
		requireState(t, stateDenied, err, who.name, change)
	}
}

// What one's own row refers to is one's own organisation's, however visible another's may be to the key.
func TestSchema_CrossReferences(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	args := pgx.NamedArgs{
		"org": w.A.Org, "me": w.A.Recruiter, "other": w.B.Client, "event": w.B.Event, "job": w.A.Job, "user": w.A.Client,
		"foreign": w.B.Job,
	}
	as(t, w.login(t, postgres.LoginAPI), claimsOf(w.A.Recruiter), func(tx pgx.Tx) {
		_, err := try(t, tx, `INSERT INTO jobs (org_id, client_id, title, description, required_skills, location, created_by)
			VALUES (@org, @other, 'Backend developer', 'Writes services in Go.', '{Go}', 'Lisbon', @me)`, args)
		requireState(t, stateForeignKey, err)
		_, err = try(t, tx, `UPDATE jobs SET client_id = @other WHERE id = @job`, args)
		requireState(t, stateForeignKey, err)
		n, err := try(t, tx, `UPDATE jobs SET client_id = @user WHERE id = @job`, args)
		require.NoError(t, err)
		require.EqualValues(t, 1, n, "his own organisation's client is accepted")
	})
	// Not even from the superuser, whom no policy holds back.
	tx, err := w.Admin.Begin(t.Context())
	require.NoError(t, err)
	for _, sql := range []string{
		`INSERT INTO user_roles (org_id, user_id, role_name) VALUES (@org, @other, 'employee')`,
		`INSERT INTO user_roles (org_id, user_id, role_name, granted_by) VALUES (@org, @user, 'employee', @other)`,
		`UPDATE user_roles SET revoked_by = @other WHERE user_id = @me`,
		`INSERT INTO events (org_id, type, payload, created_by, source, correlation_id)
			VALUES (@org, 'job.created', '{}', @other, 'api', gen_random_uuid())`,
		`INSERT INTO event_deliveries (event_id, handler_name, org_id, max_attempts) VALUES (@event, 'x', @org, 3)`,
		`INSERT INTO event_attempts (event_id, handler_name, number, org_id, outcome, started_at)
			VALUES (@event, 'x', 1, @org, 'failed', now())`,
		`UPDATE event_subscriptions SET disabled_by = @other WHERE org_id = @org`,
		`UPDATE jobs SET created_by = @other WHERE id = @job`,
		`INSERT INTO placements (org_id, candidate_id, job_id, placed_by, previous_status) VALUES (@org, @other, @job, @me, 'bench')`,
		`INSERT INTO placements (org_id, candidate_id, job_id, placed_by, previous_status) VALUES (@org, @user, @job, @other, 'bench')`,
		`INSERT INTO placements (org_id, candidate_id, job_id, placed_by, previous_status) VALUES (@org, @user, @foreign, @me, 'bench')`,
		`INSERT INTO pod_metrics (org_id, month, recruiter_id) VALUES (@org, '2026-02-01', @other)`,
	} {
		_, err := try(t, tx, sql, args)
		requireState(t, stateForeignKey, err, sql)
	}
	require.NoError(t, tx.Rollback(t.Context()))
}

// Nobody, and whoever says of himself what the database does not say of him, sees nothing.
func TestSchema_Nobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stranger := uuid.New()
	for name, claims := range map[string]string{
		"no claims":                      "",
		"an empty object":                "{}",
		"an empty subject":               `{"sub":""}`,
		"a subject of NULL":              `{"sub":null}`,
		"somebody who does not exist":    claimsOf(stranger),
		"an organisation, but no person": claims(map[string]any{"org_id": w.A.Org, "role": "authenticated"}),
		"the system, through the API":    claimsOfSystem(w.A.Org),
		"the system, with a person": claims(map[string]any{
			"actor": "system", "org_id": w.A.Org, "sub": w.A.Recruiter, "role": "service_role",
		}),
	} {
		as(t, w.login(t, postgres.LoginAPI), claims, func(tx pgx.Tx) { w.requireNothing(t, tx, name) })
	}
	for name, claims := range map[string]string{
		"the system of no organisation":      claims(map[string]any{"actor": "system"}),
		"the system of an unknown one":       claimsOfSystem(stranger),
		"an actor that is not the system":    claims(map[string]any{"actor": "System", "org_id": w.A.Org}),
		"no claims, through the worker":      "",
		"somebody unknown, through a worker": claimsOf(stranger),
	} {
		as(t, w.login(t, postgres.LoginWorker), claims, func(tx pgx.Tx) { w.requireNothing(t, tx, name) })
	}
	// What he claims about his organisation or roles changes nothing.
	as(t, w.login(t, postgres.LoginAPI), claims(map[string]any{
		"sub": w.A.Recruiter, "org_id": w.B.Org, "role": "super_admin", "user_metadata": map[string]any{"org_id": w.B.Org},
		"app_metadata": map[string]any{"org_id": w.B.Org, "roles": []string{"super_admin"}},
	}), func(tx pgx.Tx) {
		n, err := tryCount(t, tx, `SELECT count(*) FROM jobs WHERE org_id = $1`, w.A.Org)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		n, err = tryCount(t, tx, `SELECT count(*) FROM jobs WHERE org_id <> $1`, w.A.Org)
		require.NoError(t, err)
		require.Zero(t, n)
		n, err = tryCount(t, tx, `SELECT count(*) FROM audit_logs`)
		require.NoError(t, err)
		require.Zero(t, n)
	})
	asRole(t, w.login(t, postgres.LoginAPI), "anon", claimsOf(w.A.Recruiter), func(tx pgx.Tx) {
		for _, table := range append(tenantTables(t, w.Admin), catalogues...) {
			_, err := tryCount(t, tx, `SELECT count(*) FROM `+table)
			requireState(t, stateDenied, err, "anon reads", table)
		}
	})
}

// requireNothing requires that no tenant table shows a row or takes one.
func (w *world) requireNothing(t *testing.T, tx pgx.Tx, who string) {
	t.Helper()
	for _, table := range tenantTables(t, w.Admin) {
		n, err := tryCount(t, tx, `SELECT count(*) FROM `+table)
		if err != nil {
			requireState(t, stateDenied, err, who, "reads", table)
		}
		require.Zero(t, n, "%s reads %s", who, table)
		for _, me := range []any{nil, w.A.Recruiter} {
			args := writesTo(w.A, me, w.A)
			_, err = try(t, tx, writes()[table].insert, args)
			requireState(t, stateDenied, err, who, "writes to", table)
			touched, err := try(t, tx, `UPDATE `+table+` SET `+writes()[table].update)
			if err != nil {
				requireState(t, stateDenied, err, who, "changes", table)
			}
			require.Zero(t, touched, "%s changes %s", who, table)
		}
	}
}

// The logins own nothing and inherit nothing: a query that forgot its tenant transaction fails.
func TestSchema_BareLogins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.login(t, postgres.LoginAPI)
	_, err := api.Exec(t.Context(), `SELECT set_config('request.jwt.claims', $1, false)`, claimsOf(w.A.Recruiter))
	require.NoError(t, err)
	for _, table := range tenantTables(t, w.Admin) {
		for _, sql := range []string{
			`TABLE ` + table, `DELETE FROM ` + table, `UPDATE ` + table + ` SET ` + writes()[table].update, `TRUNCATE ` + table,
		} {
			_, err := api.Exec(t.Context(), sql)
			requireState(t, stateDenied, err, sql)
		}
		_, err := api.Exec(t.Context(), writes()[table].insert, writesTo(w.A, w.A.Recruiter, w.A))
		requireState(t, stateDenied, err, writes()[table].insert)
	}
	worker := w.login(t, postgres.LoginWorker)
	for _, table := range []string{"user_profiles", "user_roles", "jobs", "audit_logs", "event_idempotency_keys"} {
		_, err := worker.Exec(t.Context(), `TABLE `+table)
		requireState(t, stateDenied, err, table)
	}
	// The queue is the worker's alone.
	_, err = worker.Exec(t.Context(), `TABLE river.river_job`)
	require.NoError(t, err)
	_, err = api.Exec(t.Context(), `TABLE river.river_job`)
	requireState(t, stateDenied, err)
	as(t, worker, claimsOf(w.A.Recruiter), func(tx pgx.Tx) {
		_, err := try(t, tx, `TABLE river.river_job`)
		requireState(t, stateDenied, err, "a handler reads the queue")
	})
}

// A partition that is addressed directly would skip its parent's policies.
func TestSchema_Partitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	partitions := column[string](t, w.Admin, `
		SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'partitions'::regnamespace AND relkind = 'r'`)
	require.GreaterOrEqual(t, len(partitions), 5*5, "five tables, each with a default and four months")
	for _, login := range []postgres.Login{postgres.LoginAPI, postgres.LoginWorker} {
		conn := w.login(t, login)
		refused := func(tx pgx.Tx) {
			for _, partition := range partitions {
				for _, sql := range []string{
					`TABLE ` + partition, `INSERT INTO ` + partition + ` DEFAULT VALUES`, `DELETE FROM ` + partition,
					`UPDATE ` + partition + ` SET org_id = org_id`, `TRUNCATE ` + partition, `DROP TABLE ` + partition,
				} {
					_, err := try(t, tx, sql)
					requireState(t, stateDenied, err, login, sql)
				}
			}
		}
		as(t, conn, claimsOf(person(t, "super_admin").ID()), refused)
		asRole(t, conn, "none", "", refused)
	}
}

// What Postgres itself tells about tables, statistics for example, tells nothing of their rows.
func TestSchema_Statistics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(t, `ANALYZE`)
	require.Positive(t, w.count(t, `SELECT count(*) FROM pg_stats WHERE tablename = 'user_profiles' AND most_common_vals IS NOT NULL`))
	as(t, w.login(t, postgres.LoginAPI), claimsOf(person(t, "super_admin").ID()), func(tx pgx.Tx) {
		n, err := tryCount(t, tx, `SELECT count(*) FROM pg_stats WHERE schemaname IN ('public', 'partitions', 'river')
			AND tablename NOT IN ('roles', 'permissions', 'role_permissions')`)
		require.NoError(t, err)
		require.Zero(t, n)
		_, err = try(t, tx, `TABLE pg_statistic`)
		requireState(t, stateDenied, err)
	})
}

// The request's settings read as empty, not as missing, on a connection that has had some.
func TestSchema_ReusedConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn := w.login(t, postgres.LoginAPI)
	as(t, conn, claimsOf(w.A.Recruiter), func(tx pgx.Tx) {
		n, err := tryCount(t, tx, `SELECT count(*) FROM jobs`)
		require.NoError(t, err)
		require.Equal(t, 2, n)
	})
	var setting *string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT current_setting('request.jwt.claims', true)`).Scan(&setting))
	require.NotNil(t, setting)
	require.Empty(t, *setting)
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), `SET LOCAL ROLE authenticated`)
	require.NoError(t, err)
	w.requireNothing(t, tx, "nobody, on a reused connection")
	var uid *uuid.UUID
	require.NoError(t, tx.QueryRow(t.Context(), `SELECT auth.uid()`).Scan(&uid))
	require.Nil(t, uid)
}

// What takes a person's rights away does so at the next statement, in the middle of a transaction.
func TestSchema_RevokedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn := w.login(t, postgres.LoginAPI)
	count := func(tx pgx.Tx, table string) int {
		n, err := tryCount(t, tx, `SELECT count(*) FROM `+table)
		require.NoError(t, err)
		return n
	}
	for name, c := range map[string]struct {
		take, giveBack string
		stillMember    bool
	}{
		"organisation suspended": {
			take:     `UPDATE organizations SET status = 'suspended' WHERE id = @org`,
			giveBack: `UPDATE organizations SET status = 'active' WHERE id = @org`,
		},
		"organisation marked deleted": {
			take:     `UPDATE organizations SET status = 'deleted' WHERE id = @org`,
			giveBack: `UPDATE organizations SET status = 'active' WHERE id = @org`,
		},
		"organisation soft-deleted": {
			take:     `UPDATE organizations SET deleted_at = now() WHERE id = @org`,
			giveBack: `UPDATE organizations SET deleted_at = NULL WHERE id = @org`,
		},
		"person inactive": {
			take:     `UPDATE user_profiles SET is_active = false WHERE id = @me`,
			giveBack: `UPDATE user_profiles SET is_active = true WHERE id = @me`,
		},
		"person soft-deleted": {
			take:     `UPDATE user_profiles SET deleted_at = now() WHERE id = @me`,
			giveBack: `UPDATE user_profiles SET deleted_at = NULL WHERE id = @me`,
		},
		"role revoked": {
			take:        `UPDATE user_roles SET revoked_at = now() WHERE user_id = @me`,
			giveBack:    `UPDATE user_roles SET revoked_at = NULL WHERE user_id = @me`,
			stillMember: true,
		},
		"role expired": {
			take:        `UPDATE user_roles SET expires_at = now() - interval '1 hour' WHERE user_id = @me`,
			giveBack:    `UPDATE user_roles SET expires_at = now() + interval '1 hour' WHERE user_id = @me`,
			stillMember: true,
		},
		"role without the permission": {
			take:        `DELETE FROM role_permissions WHERE role_name = 'recruiter' AND permission_name LIKE 'job:%'`,
			giveBack:    `INSERT INTO role_permissions SELECT 'recruiter', name, 'all' FROM permissions WHERE resource = 'job'`,
			stillMember: true,
		},
	} {
		args := pgx.NamedArgs{"org": w.A.Org, "me": w.A.Recruiter}
		as(t, conn, claimsOf(w.A.Recruiter), func(tx pgx.Tx) {
			require.Equal(t, 2, count(tx, "jobs"), "before: %s", name)
			w.exec(t, c.take, args)
			require.Zero(t, count(tx, "jobs"), name)
			_, err := try(t, tx, writes()["jobs"].insert, writesTo(w.A, w.A.Recruiter, w.A))
			requireState(t, stateDenied, err, name)
			changed, err := try(t, tx, `UPDATE jobs SET title = title`)
			require.NoError(t, err)
			require.Zero(t, changed, name)
			want := 0
			if c.stillMember {
				want = 1
			}
			require.Equal(t, want, count(tx, "organizations"), name)
			require.Equal(t, want, count(tx, "user_roles"), name)
			if !c.stillMember {
				w.requireNothing(t, tx, name)
			}
			w.exec(t, c.giveBack, args)
			require.Equal(t, 2, count(tx, "jobs"), "after: %s", name)
		})
	}
	// The system's own requests end with the organisation.
	as(t, w.login(t, postgres.LoginWorker), claimsOfSystem(w.A.Org), func(tx pgx.Tx) {
		require.Equal(t, 2, count(tx, "jobs"))
		w.exec(t, `UPDATE organizations SET status = 'suspended' WHERE id = $1`, w.A.Org)
		require.Zero(t, count(tx, "jobs"))
	})
}
