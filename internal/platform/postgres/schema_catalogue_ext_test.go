package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
)

// The walk over the catalogue: every query finds what breaks a rule, and has to find nothing. TestSchema_WalkFinds proves
// that they would.

// rule is a rule of the schema, the query for what breaks it, and a statement that breaks it.
type rule struct{ name, query, broken string }

// ours are the tables that the rules are about; a partition's rules are its own.
const ours = `
	WITH ours AS (
		SELECT c.oid, c.relname, n.nspname, c.relrowsecurity, c.relforcerowsecurity
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname IN ('public', 'app') AND c.relkind IN ('r', 'p') AND c.relname <> 'goose_db_version'
	), tenants AS (
		SELECT o.oid, o.relname, o.relrowsecurity, o.relforcerowsecurity FROM ours o
		WHERE o.nspname = 'public' AND o.relname NOT IN ('permissions', 'role_permissions', 'roles')
	) `

func rules() []rule {
	return []rule{
		{
			name: "every tenant table has org_id uuid NOT NULL",
			query: ours + `
			SELECT relname FROM tenants WHERE relname <> 'organizations' AND NOT EXISTS (
				SELECT FROM pg_attribute
				WHERE attrelid = tenants.oid AND attname = 'org_id' AND attnotnull AND atttypid = 'uuid'::regtype)`,
			broken: `ALTER TABLE user_profiles ALTER org_id DROP NOT NULL`,
		},
		{
			name: "org_id refers to organizations, but for the outbox, which a trigger fills from an event that does",
			query: ours + `
			SELECT relname FROM tenants WHERE relname NOT IN ('organizations', 'event_outbox') AND NOT EXISTS (
				SELECT FROM pg_constraint k WHERE conrelid = tenants.oid AND contype = 'f' AND confrelid = 'organizations'::regclass
					AND convalidated AND confdeltype = 'a' AND pg_get_constraintdef(k.oid) LIKE 'FOREIGN KEY (org_id)%')`,
			broken: `ALTER TABLE jobs DROP CONSTRAINT jobs_org_id_fkey`,
		},
		{
			name: "row level security is enabled and forced",
			query: ours + `
			SELECT relname FROM tenants WHERE NOT relrowsecurity OR NOT relforcerowsecurity`,
			broken: `ALTER TABLE jobs NO FORCE ROW LEVEL SECURITY`,
		},
		{
			name: "no policy is for ALL commands, restrictive, or for PUBLIC",
			query: `
			SELECT format('%s on %s', polname, polrelid::regclass) FROM pg_policy
			WHERE polcmd = '*' OR NOT polpermissive OR 0 = ANY (polroles)`,
			broken: `CREATE POLICY p ON jobs TO authenticated USING (true)`,
		},
		{
			name: "one policy per role and command: permissive ones are OR-ed together",
			query: `
			SELECT format('%s %s for %s', polrelid::regclass, polcmd, r::regrole) FROM pg_policy, unnest(polroles) r
			GROUP BY polrelid, polcmd, r HAVING count(*) > 1`,
			broken: `CREATE POLICY p ON jobs FOR SELECT TO authenticated USING (true)`,
		},
		// Whose policies a role may come under: the functions of a policy run once per statement.
		{
			name: "policies for requests ask for the organisation once",
			query: `
			SELECT format('%s on %s', polname, polrelid::regclass) FROM pg_policy
			WHERE polroles @> ARRAY['authenticated'::regrole::oid]
				AND (pg_get_expr(polqual, polrelid) NOT LIKE '%( SELECT app.org_id() AS org_id)%'
					OR pg_get_expr(polwithcheck, polrelid) NOT LIKE '%( SELECT app.org_id() AS org_id)%')`,
			broken: `ALTER POLICY jobs_select ON jobs USING (org_id = app.org_id())`,
		},
		{
			name: "an updating policy checks what it writes",
			query: `
			SELECT format('%s on %s', polname, polrelid::regclass) FROM pg_policy WHERE polcmd = 'w' AND polwithcheck IS NULL`,
			broken: `CREATE POLICY p ON jobs FOR UPDATE TO anon USING (true)`,
		},
		{
			name: "foreign keys between tenant tables carry the organisation",
			query: ours + `
			SELECT conname FROM pg_constraint k JOIN tenants a ON a.oid = conrelid JOIN tenants b ON b.oid = confrelid
			WHERE contype = 'f' AND b.relname <> 'organizations'
				AND pg_get_constraintdef(k.oid) NOT LIKE 'FOREIGN KEY (org_id, %) REFERENCES %(org_id, %)'`,
			broken: `ALTER TABLE jobs ADD CONSTRAINT jobs_x_fkey
				FOREIGN KEY (client_id) REFERENCES user_profiles (id)`,
		},
		{
			name: "no foreign key cascades",
			query: ours + `
			SELECT conname FROM pg_constraint JOIN ours ON ours.oid = conrelid
			WHERE contype = 'f' AND (confdeltype <> 'a' OR confupdtype <> 'a')`,
			broken: `ALTER TABLE jobs ADD CONSTRAINT jobs_x_fkey
				FOREIGN KEY (org_id) REFERENCES organizations (id) ON DELETE CASCADE`,
		},
		// A partial index serves where it only leaves out NULL, which refers to nothing.
		{
			name: "every foreign key has an index that starts with its columns",
			query: ours + `
			SELECT conname FROM pg_constraint k JOIN ours ON ours.oid = conrelid
			WHERE contype = 'f' AND NOT EXISTS (
				SELECT FROM pg_index i WHERE indrelid = conrelid AND indisvalid AND indnkeyatts >= cardinality(conkey)
					AND (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey AND (indkey::int2[])[0:cardinality(conkey) - 1] <@ conkey
					AND (indpred IS NULL OR EXISTS (
						SELECT FROM unnest(conkey) c JOIN pg_attribute ON attrelid = conrelid AND attnum = c
						WHERE pg_get_expr(indpred, indrelid) = format('(%I IS NOT NULL)', attname))))`,
			broken: `DROP INDEX jobs_client_id_idx`,
		},
		{
			name: "every constraint is named after its table and what it is",
			query: ours + `
			SELECT conname FROM pg_constraint JOIN ours ON ours.oid = conrelid
			WHERE conparentid = 0 AND conname !~ format('^%s_([a-z_]+_)?%s$', relname,
				CASE contype WHEN 'p' THEN 'pkey' WHEN 'u' THEN 'key' WHEN 'f' THEN 'fkey' WHEN 'c' THEN 'check' ELSE 'not_null' END)`,
			broken: `ALTER TABLE jobs ADD CHECK (version > 0), ADD CHECK (version > 0)`,
		},
		{
			name: "texts of a closed set of values have a check, of their own or of their domain",
			query: ours + `
			SELECT format('%s.%s', relname, attname) FROM ours JOIN pg_attribute ON attrelid = ours.oid
				AND attname IN ('status', 'outcome', 'severity', 'scope', 'source', 'actor_kind')
			WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'c'
				AND (conrelid = ours.oid AND conkey @> ARRAY[attnum] OR contypid = atttypid))`,
			broken: `ALTER TABLE jobs DROP CONSTRAINT jobs_status_check`,
		},
		{
			name: "partitions stand in their own schema",
			query: `
			SELECT oid::regclass::text FROM pg_class
			WHERE relispartition AND relkind IN ('r', 'p') AND relnamespace <> 'partitions'::regnamespace`,
			broken: `CREATE TABLE events_1970 PARTITION OF events
			FOR VALUES FROM ('00000000-0000-0000-0000-000000000000') TO ('00000000-0000-7000-0000-000000000000')`,
		},
		{
			name: "every partition has row level security enabled and forced, and no policy",
			query: `
			SELECT oid::regclass::text FROM pg_class c WHERE relnamespace = 'partitions'::regnamespace AND relkind = 'r'
				AND (NOT relispartition OR NOT relrowsecurity OR NOT relforcerowsecurity
					OR EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid))`,
			broken: `ALTER TABLE partitions.events_default DISABLE ROW LEVEL SECURITY`,
		},
		{
			name: "nobody but the owner has rights to a partition",
			query: `
			SELECT oid::regclass::text FROM pg_class, aclexplode(relacl) a
			WHERE relnamespace = 'partitions'::regnamespace AND a.grantee <> relowner`,
			broken: `GRANT SELECT ON partitions.events_default TO intime_worker`,
		},
		{
			name: "nobody but the owner has rights to the partitions' schema",
			query: `
			SELECT a.grantee::regrole::text FROM pg_namespace, aclexplode(nspacl) a WHERE nspname = 'partitions' AND a.grantee <> nspowner`,
			broken: `GRANT USAGE ON SCHEMA partitions TO intime_worker`,
		},
		{
			name: "every partitioned table is on the list of those that get partitions",
			query: `
			SELECT relname::text FROM pg_class WHERE relkind = 'p' AND relname NOT IN (SELECT name FROM app.partitioned_tables)
			UNION ALL SELECT name FROM app.partitioned_tables WHERE to_regclass('public.' || name) IS NULL`,
			broken: `DELETE FROM app.partitioned_tables WHERE name = 'events'`,
		},
		{
			name: "everything is owned by intime_owner",
			query: `
			SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
			WHERE nspname IN ('public', 'app', 'partitions', 'river') AND relowner <> 'intime_owner'::regrole
				AND relname NOT LIKE 'goose_db_version%'
			UNION ALL
			SELECT nspname FROM pg_namespace
			WHERE nspname IN ('app', 'partitions', 'river') AND nspowner <> 'intime_owner'::regrole`,
			broken: `ALTER TABLE jobs OWNER TO postgres`,
		},
		{
			name: "no right on a table beyond the four of the data",
			query: `
			SELECT format('%s %s', c.oid::regclass, a.privilege_type) FROM pg_class c
				JOIN pg_namespace n ON n.oid = relnamespace, aclexplode(relacl) a
			WHERE nspname IN ('public', 'app', 'partitions', 'river') AND a.grantee <> relowner AND relkind IN ('r', 'p', 'v')
				AND a.privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')`,
			broken: `GRANT TRUNCATE ON jobs TO authenticated`,
		},
		{
			name: "PUBLIC and anon have no right on any table or function",
			query: `
			SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace, aclexplode(relacl) a
			WHERE nspname IN ('public', 'app', 'partitions', 'river') AND a.grantee IN (0, 'anon'::regrole)
			UNION ALL
			SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace,
				aclexplode(coalesce(proacl, acldefault('f', proowner))) a
			WHERE nspname IN ('public', 'app', 'river') AND a.grantee IN (0, 'anon'::regrole)`,
			broken: `GRANT EXECUTE ON FUNCTION app.session(uuid) TO PUBLIC`,
		},
		{
			name: "every function pins its search_path",
			query: `
			SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
			WHERE nspname IN ('public', 'app') AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=""']`,
			broken: `ALTER FUNCTION app.org_id() RESET search_path`,
		},
		{
			name: "a SECURITY DEFINER function belongs to a role that cannot log in",
			query: `
			SELECT format('%s of %s', p.oid::regprocedure, proowner::regrole) FROM pg_proc p
				JOIN pg_namespace n ON n.oid = pronamespace JOIN pg_roles r ON r.oid = proowner
			WHERE nspname IN ('public', 'app', 'auth', 'river') AND prosecdef
				AND (rolcanlogin OR rolsuper OR rolname NOT IN ('intime_membership', 'intime_bookkeeper', 'intime_owner'))`,
			broken: `ALTER FUNCTION app.org_id() OWNER TO postgres`,
		},
		{
			name: "a function that bypasses row level security reads and never writes",
			query: `
			SELECT p.oid::regprocedure::text FROM pg_proc p
			WHERE proowner = 'intime_membership'::regrole AND (provolatile = 'v' OR prosrc ~* '\m(INSERT|UPDATE|DELETE|EXECUTE)\M')`,
			broken: `ALTER FUNCTION app.org_id() VOLATILE`,
		},
		{
			name: "one signature per function name",
			query: `
			SELECT format('%s.%s', nspname, proname) FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace
			WHERE nspname IN ('public', 'app') GROUP BY nspname, proname HAVING count(*) > 1`,
			broken: `CREATE FUNCTION app.org_id(p_of uuid) RETURNS uuid LANGUAGE sql AS 'SELECT p_of'`,
		},
		{
			name: "views run as who asks, and none is materialised",
			query: `
			SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
			WHERE nspname IN ('public', 'app') AND (relkind = 'm'
				OR relkind = 'v' AND NOT coalesce(reloptions, '{}') && ARRAY['security_invoker=true', 'security_invoker=on'])`,
			broken: `CREATE VIEW all_jobs AS SELECT * FROM jobs`,
		},
		{
			name: "who bypasses row level security sees the membership tables only, and only reads",
			query: `
			SELECT format('%s %s', c.oid::regclass, a.privilege_type) FROM pg_class c, aclexplode(relacl) a
			WHERE a.grantee = 'intime_membership'::regrole AND (a.privilege_type <> 'SELECT' OR c.oid::regclass::text NOT IN (
				'organizations', 'user_profiles', 'user_roles', 'roles', 'permissions', 'role_permissions',
				'app.event_types', 'app.event_handlers'))`,
			broken: `GRANT SELECT ON jobs TO intime_membership`,
		},
		{
			name: "nobody may create anything",
			query: `
			SELECT format('%s in %s', a.grantee::regrole, nspname) FROM pg_namespace, aclexplode(nspacl) a
			WHERE nspname IN ('public', 'app', 'partitions', 'river', 'auth') AND a.privilege_type = 'CREATE' AND a.grantee <> nspowner
				AND a.grantee NOT IN ('intime_owner'::regrole, 'pg_database_owner'::regrole)`,
			broken: `GRANT CREATE ON SCHEMA app TO intime_bookkeeper`,
		},
	}
}

func TestSchema_Walk(t *testing.T) {
	t.Parallel()
	conn := apptest.Connect(t, apptest.Database(t))
	require.Len(t, tenantTables(t, conn), 19,
		"a table came or went: does it belong to tenants? Then arrange rows and say who may do what with it")
	for _, r := range rules() {
		require.Empty(t, column[string](t, conn, r.query), r.name)
	}
}

// Each rule finds what breaks it.
func TestSchema_WalkFinds(t *testing.T) {
	t.Parallel()
	conn := apptest.Connect(t, apptest.Database(t))
	for _, r := range rules() {
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), r.broken)
		require.NoError(t, err, r.name)
		require.NotEmpty(t, column[string](t, conn, r.query), "not found: %s", r.name)
		require.NoError(t, tx.Rollback(t.Context()))
	}
}

func TestSchema_Roles(t *testing.T) {
	t.Parallel()
	conn := apptest.Connect(t, apptest.Database(t))
	require.Equal(t, []string{
		"anon",
		"authenticated",
		"intime_api login",
		"intime_bookkeeper",
		"intime_membership bypassrls",
		"intime_owner",
		"intime_worker login",
	}, column[string](t, conn, `
		SELECT concat_ws(' ', rolname, CASE WHEN rolcanlogin THEN 'login' END, CASE WHEN rolinherit THEN 'inherit' END,
			CASE WHEN rolbypassrls THEN 'bypassrls' END, CASE WHEN rolsuper THEN 'superuser' END,
			CASE WHEN rolcreaterole THEN 'createrole' END, CASE WHEN rolcreatedb THEN 'createdb' END,
			CASE WHEN rolreplication THEN 'replication' END)
		FROM pg_roles WHERE rolname LIKE 'intime%' OR rolname IN ('anon', 'authenticated') ORDER BY 1`))

	reachable := func(login string) []string {
		t.Helper()
		return column[string](t, conn, `
			WITH RECURSIVE reachable AS (
				SELECT oid FROM pg_roles WHERE rolname = $1
				UNION SELECT roleid FROM pg_auth_members JOIN reachable ON member = reachable.oid
			)
			SELECT rolname || CASE WHEN rolbypassrls OR rolsuper THEN ' bypasses row level security' ELSE '' END
			FROM reachable JOIN pg_roles USING (oid) ORDER BY 1`, login)
	}
	require.Equal(t, []string{"anon", "authenticated", "intime_api"}, reachable("intime_api"))
	require.Equal(t, []string{"authenticated", "intime_worker"}, reachable("intime_worker"))
	for _, role := range []string{"anon", "authenticated", "intime_owner", "intime_membership", "intime_bookkeeper"} {
		require.Equal(t, []string{strings.TrimSpace(role + bypass(role))}, reachable(role))
	}
	require.Empty(t, column[string](t, conn, `
		SELECT member::regrole::text FROM pg_auth_members
		WHERE roleid IN ('intime_owner'::regrole, 'intime_membership'::regrole, 'intime_bookkeeper'::regrole)
			AND member IN (SELECT oid FROM pg_roles WHERE NOT rolsuper)`), "nobody acts as an owner but who migrates")

	for _, login := range []string{"intime_api", "intime_worker"} {
		as := apptest.Connect(t, conn.Config().ConnString())
		_, err := as.Exec(t.Context(), "SET SESSION AUTHORIZATION "+login)
		require.NoError(t, err)
		for _, role := range []string{"intime_owner", "intime_membership", "intime_bookkeeper", "postgres", "pg_read_all_data"} {
			_, err := as.Exec(t.Context(), "SET ROLE "+role)
			requireState(t, stateDenied, err, login, role)
		}
	}
}

func bypass(role string) string {
	if role == "intime_membership" {
		return " bypasses row level security"
	}
	return ""
}

// Database-wide rights are not copied with a template: this one is migrated from nothing.
func TestSchema_DatabaseRights(t *testing.T) {
	t.Parallel()
	url := apptest.EmptyDatabase(t)
	_, err := newMigrator(t, url).Up(t.Context())
	require.NoError(t, err)
	conn := apptest.Connect(t, url)
	for _, role := range []string{"anon", "authenticated", "intime_api", "intime_worker", "intime_membership", "intime_bookkeeper"} {
		may := func(what string) bool {
			t.Helper()
			return column[bool](t, conn, `SELECT has_database_privilege($1, current_database(), $2)`, role, what)[0]
		}
		require.False(t, may("TEMPORARY"), role)
		require.False(t, may("CREATE"), role)
	}
	asRole(t, conn, "authenticated", "", func(tx pgx.Tx) {
		for _, sql := range []string{
			`CREATE TEMPORARY TABLE jobs (id uuid)`, `CREATE TABLE public.mine (id uuid)`, `CREATE SCHEMA mine`,
			`CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
		} {
			_, err := try(t, tx, sql)
			requireState(t, stateDenied, err, sql)
		}
	})
}

// With set_config one SELECT would forge another organisation's claims.
func TestSchema_SetConfig(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Equal(t, []string{"intime_api", "intime_worker", "postgres"}, column[string](t, w.Admin, `
		SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
		FROM pg_proc p, aclexplode(coalesce(proacl, acldefault('f', proowner))) a
		WHERE p.oid = 'pg_catalog.set_config(text, text, boolean)'::regprocedure ORDER BY 1`))
	forged := claimsOf(w.B.Recruiter)
	as(t, w.login(t, "intime_api"), claimsOf(w.A.Recruiter), func(tx pgx.Tx) {
		for _, sql := range []string{
			`SELECT set_config('request.jwt.claims', '` + forged + `', true)`,
			`UPDATE pg_settings SET setting = 'x' WHERE name = 'application_name'`,
			`SELECT (SELECT set_config('role', 'none', true)), count(*) FROM jobs`,
		} {
			_, err := try(t, tx, sql)
			requireState(t, stateDenied, err, sql)
		}
		// Nor do the functions that run a text as a query change a setting.
		_, err := try(t, tx, `SELECT query_to_xml('SET request.jwt.claims = ''`+forged+`''', true, false, '')`)
		require.Error(t, err)
	})
}
