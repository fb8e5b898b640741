package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

func newMigrator(t *testing.T, url string) *postgres.Migrator {
	t.Helper()
	migrator, err := app.NewMigrator(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = migrator.Close() })
	return migrator
}

func TestMigrator_DownAllAndUpAgain(t *testing.T) {
	t.Parallel()
	url := apptest.EmptyDatabase(t)
	conn := apptest.Connect(t, url)
	empty := dump(t, conn)
	migrator := newMigrator(t, url)

	first, err := migrator.Up(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, first)
	migrated := dump(t, conn)
	for _, kind := range []string{"column", "constraint", "function", "grant", "index", "policy", "relation", "row", "schema", "trigger"} {
		require.True(t, slices.ContainsFunc(migrated, func(line string) bool { return strings.HasPrefix(line, kind+" ") }),
			"the dump has no %s", kind)
	}
	again, err := migrator.Up(t.Context())
	require.NoError(t, err)
	require.Empty(t, again, "what has run does not run again")

	require.NoError(t, migrator.DownAll(t.Context()))
	// goose's own table stays; so do the rights of the two roles that Supabase brings.
	left := slices.DeleteFunc(dump(t, conn), func(line string) bool {
		return strings.Contains(line, "goose_db_version") ||
			strings.HasPrefix(line, "grant schema public") && (strings.Contains(line, "anon") || strings.Contains(line, "authenticated"))
	})
	require.Equal(t, empty, left, "something of ours is left")
	down, err := migrator.Down(t.Context())
	require.NoError(t, err)
	require.Nil(t, down, "there is nothing to take back any more")

	second, err := migrator.Up(t.Context())
	require.NoError(t, err)
	require.Len(t, second, len(first))
	require.Equal(t, migrated, dump(t, conn))
}

func TestMigrator_DownStepByStep(t *testing.T) {
	t.Parallel()
	url := apptest.EmptyDatabase(t)
	conn := apptest.Connect(t, url)
	migrator := newMigrator(t, url)
	_, err := migrator.Up(t.Context())
	require.NoError(t, err)
	migrated := dump(t, conn)
	for _, steps := range []int{1, 2, 4, 8} {
		for range steps {
			taken, err := migrator.Down(t.Context())
			require.NoError(t, err)
			require.NotNil(t, taken)
		}
		_, err := migrator.Up(t.Context())
		require.NoError(t, err, "up again after %d down", steps)
		require.Equal(t, migrated, dump(t, conn), "up again after %d down", steps)
	}
}

// A migration of one database leaves the other databases of the cluster alone.
func TestMigrator_DownLeavesOtherDatabases(t *testing.T) {
	t.Parallel()
	one, other := apptest.EmptyDatabase(t), apptest.EmptyDatabase(t)
	for _, url := range []string{one, other} {
		_, err := newMigrator(t, url).Up(t.Context())
		require.NoError(t, err)
	}
	conn := apptest.Connect(t, other)
	before := dump(t, conn)
	require.NoError(t, newMigrator(t, one).DownAll(t.Context()))
	require.Equal(t, before, dump(t, conn))
}

func TestMigrator_TwoAtOnce(t *testing.T) {
	t.Parallel()
	url := apptest.EmptyDatabase(t)
	type outcome struct {
		ran int
		err error
	}
	outcomes := make(chan outcome)
	begin := make(chan struct{})
	for range 2 {
		migrator := newMigrator(t, url)
		go func() {
			<-begin
			results, err := migrator.Up(t.Context())
			outcomes <- outcome{ran: len(results), err: err}
		}()
	}
	close(begin)
	var ran int
	for range 2 {
		o := <-outcomes
		require.NoError(t, o.err)
		ran += o.ran
	}
	statuses, err := newMigrator(t, url).Status(t.Context())
	require.NoError(t, err)
	require.Len(t, statuses, ran, "every migration ran once")
	conn := apptest.Connect(t, url)
	require.Empty(t, column[int64](t, conn, `SELECT version_id FROM goose_db_version GROUP BY 1 HAVING count(*) > 1`))
	require.Equal(t, []int64{1}, column[int64](t, conn, `SELECT count(*) FROM organizations`))
}

func TestMigrator_RefusesUnknownServer(t *testing.T) {
	t.Parallel()
	_, err := postgres.NewMigrator(t.Context(), "host= port=x")
	require.Error(t, err)
	_, err = postgres.NewMigrator(t.Context(), "postgres://nobody:wrong@127.0.0.1:1/none?connect_timeout=1")
	require.ErrorContains(t, err, "no Postgres answers at 127.0.0.1:1")
}

func TestDB_CheckSchema(t *testing.T) {
	t.Parallel()
	url := apptest.EmptyDatabase(t)
	migrator := newMigrator(t, url)
	db := open(t, url, postgres.LoginAPI, postgres.Config{MaxConns: 1})
	worker := open(t, url, postgres.LoginWorker, postgres.Config{MaxConns: 1})

	requireRefused := func(what string) {
		t.Helper()
		for _, login := range []*postgres.DB{db, worker} {
			err := login.CheckSchema(t.Context())
			require.ErrorIs(t, err, postgres.ErrSchema)
			require.ErrorContains(t, err, what)
		}
	}
	requireRefused("Run `intime migrate up`")

	_, err := migrator.Up(t.Context())
	require.NoError(t, err)
	require.NoError(t, db.CheckSchema(t.Context()))
	require.NoError(t, worker.CheckSchema(t.Context()))

	conn := apptest.Connect(t, url)
	_, err = conn.Exec(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
	require.NoError(t, err)
	requireRefused("Use a newer intime")
	_, err = conn.Exec(t.Context(), `DELETE FROM goose_db_version WHERE version_id = 99999`)
	require.NoError(t, err)
	require.NoError(t, db.CheckSchema(t.Context()))

	_, err = migrator.Down(t.Context())
	require.NoError(t, err)
	requireRefused("Run `intime migrate up`")
	// Readable, but behind.
	_, err = conn.Exec(t.Context(), `GRANT SELECT ON goose_db_version TO intime_api, intime_worker`)
	require.NoError(t, err)
	requireRefused("Run `intime migrate up`")
	_, err = conn.Exec(t.Context(), `DELETE FROM goose_db_version`)
	require.NoError(t, err)
	requireRefused("at migration 0 of")
}

func TestDB_CheckSchema_Unreachable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginAPI, postgres.Config{MaxConns: 1})
	db.Close()
	err := db.CheckSchema(t.Context())
	require.Error(t, err)
}

// dump describes everything in our schemas that a migration can make, one line each, sorted.
func dump(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	lines := column[string](t, conn, `
		WITH spaces AS (
			SELECT oid, nspname, nspowner, nspacl FROM pg_namespace
			WHERE nspname IN ('public', 'app', 'partitions', 'river', 'auth')
		), relations AS (
			SELECT c.oid, c.relkind, c.relowner, c.relrowsecurity, c.relforcerowsecurity, c.reloptions, c.relpartbound, c.relacl,
				format('%I.%I', s.nspname, c.relname) AS full_name
			FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace
		)
		SELECT format('schema %s owner %s %s', nspname, nspowner::regrole, obj_description(oid, 'pg_namespace')) FROM spaces
		UNION ALL
		SELECT format('grant schema %s to %s: %s', nspname, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
			a.privilege_type)
		FROM spaces, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a
		UNION ALL
		SELECT format('relation %s %s owner %s rls %s forced %s %s %s %s', full_name, relkind, relowner::regrole, relrowsecurity,
			relforcerowsecurity, reloptions, pg_get_expr(relpartbound, oid), obj_description(oid, 'pg_class'))
		FROM relations
		UNION ALL
		SELECT format('grant relation %s to %s: %s', full_name,
			CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, a.privilege_type)
		FROM relations, aclexplode(coalesce(relacl, acldefault('r', relowner))) a WHERE relkind IN ('r', 'p', 'v', 'm')
		UNION ALL
		SELECT format('column %s.%I %s %s %s %s %s %s %s', full_name, attname, format_type(atttypid, atttypmod), attnotnull, attgenerated,
			attidentity, pg_get_expr(d.adbin, d.adrelid), attacl, col_description(relations.oid, attnum))
		FROM relations JOIN pg_attribute ON attrelid = relations.oid AND attnum > 0 AND NOT attisdropped
			LEFT JOIN pg_attrdef d ON d.adrelid = relations.oid AND d.adnum = attnum
		UNION ALL
		SELECT format('constraint %s %s %s %s', full_name, conname, pg_get_constraintdef(k.oid), convalidated)
		FROM relations JOIN pg_constraint k ON conrelid = relations.oid
		UNION ALL
		SELECT 'index ' || pg_get_indexdef(oid) FROM relations WHERE relkind IN ('i', 'I')
		UNION ALL
		SELECT format('policy %s %s %s %s %s %s %s', full_name, polname, polcmd, polpermissive,
			(SELECT array_agg(r::regrole::text ORDER BY r::regrole::text) FROM unnest(polroles) r),
			pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
		FROM relations JOIN pg_policy ON polrelid = relations.oid
		UNION ALL
		SELECT format('trigger %s %s', tgenabled, pg_get_triggerdef(g.oid))
		FROM relations JOIN pg_trigger g ON tgrelid = relations.oid WHERE NOT tgisinternal
		UNION ALL
		SELECT format('function %s owner %s %s', p.oid::regprocedure, proowner::regrole, pg_get_functiondef(p.oid))
		FROM pg_proc p JOIN spaces s ON s.oid = pronamespace WHERE prokind = 'f'
		UNION ALL
		SELECT format('grant function %s to %s: %s', p.oid::regprocedure,
			CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, a.privilege_type)
		FROM pg_proc p, aclexplode(coalesce(proacl, acldefault('f', proowner))) a
		WHERE pronamespace IN (SELECT oid FROM spaces) OR p.oid = 'pg_catalog.set_config(text, text, boolean)'::regprocedure
		UNION ALL
		SELECT format('type %s.%s %s', nspname, typname, typtype)
		FROM pg_type JOIN spaces s ON s.oid = typnamespace WHERE typtype IN ('e', 'd', 'r', 'm')
		UNION ALL
		SELECT format('grant default %s %s: %s', defaclrole::regrole, defaclobjtype, defaclacl) FROM pg_default_acl
		UNION ALL
		SELECT format('grant database to %s: %s', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, a.privilege_type)
		FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) a WHERE datname = current_database()`)
	for _, table := range []string{
		"roles", "permissions", "role_permissions", "organizations", "app.partitioned_tables", "river.river_migration",
	} {
		if len(column[bool](t, conn, `SELECT true WHERE to_regclass($1) IS NOT NULL`, table)) > 0 {
			lines = append(lines, column[string](t, conn,
				`SELECT 'row `+table+` ' || (to_jsonb(r) - 'created_at' - 'updated_at')::text FROM `+table+` r`)...)
		}
	}
	slices.Sort(lines)
	return lines
}
