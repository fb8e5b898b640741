package docs_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/auth"
	"github.com/intime-solutions/intime/internal/platform/config"
)

var update = flag.Bool("update", false, "write the generated tables into the documents")

// check compares a generated block of a document, between its two comments, with what it should be.
func check(t *testing.T, document, block, want string) {
	t.Helper()
	path := filepath.Join(root, document)
	text := read(t, path)
	begin, end := "<!-- generated: "+block+" -->\n", "\n<!-- end of "+block+" -->"
	before, rest, ok := strings.Cut(text, begin)
	require.True(t, ok, "%s has no block %s", document, block)
	have, after, ok := strings.Cut(rest, end)
	require.True(t, ok, "the block %s of %s does not end", block, document)
	want = strings.TrimRight(want, "\n")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(before+begin+want+end+after), 0o600))
		return
	}
	require.Equal(t, want, have, "%s is not current: go test ./docs -update", document)
}

func table(header ...string) *strings.Builder {
	b := &strings.Builder{}
	row(b, header...)
	b.WriteString("|" + strings.Repeat("---|", len(header)) + "\n")
	return b
}

func row(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// TestGenerated is not parallel, and neither are its parts: with -update several write the same file.
func TestGenerated(t *testing.T) { //nolint:paralleltest // see above
	conn := apptest.Connect(t, apptest.Database(t))
	const database = "docs/architecture/database-design.md"
	check(t, database, "entities", entities(t, conn))
	check(t, database, "access", access(t, conn))
	check(t, database, "permissions", permissions(t, conn))
	checkIndexes(t, conn, read(t, filepath.Join(root, database)))
	check(t, "docs/architecture/api-design.md", "procedures", procedures())
	check(t, "docs/architecture/event-bus-design.md", "event types", eventTypes(t))
	check(t, "docs/operations.md", "settings", settings(t))
}

func collect[T any](t *testing.T, conn *pgx.Conn, sql string) []T {
	t.Helper()
	rows, err := conn.Query(context.Background(), sql)
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	require.NoError(t, err)
	return found
}

// entities is the diagram: every table of ours with its columns, and every foreign key.
func entities(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	type column struct{ Table, Name, Type, Key string }
	type reference struct {
		Child, Parent, Columns string
		Optional               bool
	}
	columns := collect[column](t, conn, `
		SELECT c.relname, a.attname,
			replace(replace(format_type(CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END, NULL),
				'[]', '_array'), 'timestamp with time zone', 'timestamptz'),
			CASE WHEN k.types LIKE '%p%' THEN ' PK' WHEN k.types LIKE '%f%' THEN ' FK' ELSE '' END
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
		CROSS JOIN LATERAL (
			SELECT string_agg(k.contype::text, '') AS types FROM pg_constraint k WHERE k.conrelid = c.oid AND a.attnum = ANY (k.conkey)
		) k
		WHERE c.relkind IN ('r', 'p') AND c.relnamespace IN ('public'::regnamespace, 'app'::regnamespace)
			AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> 'goose_db_version'
		ORDER BY c.relname, a.attnum`)
	references := collect[reference](t, conn, `
		SELECT k.conrelid::regclass::text, k.confrelid::regclass::text,
			(SELECT string_agg(a.attname, ', ' ORDER BY x.i) FROM unnest(k.conkey) WITH ORDINALITY x (n, i)
				JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.n),
			EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) AND NOT a.attnotnull)
		FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
		WHERE k.contype = 'f' AND NOT c.relispartition AND k.conparentid = 0
			AND c.relnamespace IN ('public'::regnamespace, 'app'::regnamespace)
		ORDER BY 1, 2, 3`)
	var b strings.Builder
	b.WriteString("```mermaid\nerDiagram\n")
	for _, r := range references {
		one := "||"
		if r.Optional {
			one = "|o"
		}
		fmt.Fprintf(&b, "    %s %s--o{ %s : %q\n", bare(r.Parent), one, bare(r.Child), r.Columns)
	}
	for i, c := range columns {
		if i == 0 || columns[i-1].Table != c.Table {
			fmt.Fprintf(&b, "    %s {\n", c.Table)
		}
		fmt.Fprintf(&b, "        %s %s%s\n", strings.ReplaceAll(c.Type, " ", "_"), c.Name, c.Key)
		if i == len(columns)-1 || columns[i+1].Table != c.Table {
			b.WriteString("    }\n")
		}
	}
	b.WriteString("```")
	return b.String()
}

func bare(table string) string { return table[strings.LastIndex(table, ".")+1:] }

// access is what each role may do with each table by its grants, and whether row level security then looks at the rows.
func access(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	roles := []string{"authenticated", "intime_api", "intime_worker", "intime_bookkeeper", "intime_membership"}
	type grant struct{ Table, Forced, Role, May string }
	grants := collect[grant](t, conn, `
		SELECT c.oid::regclass::text, CASE WHEN c.relforcerowsecurity THEN 'forced' ELSE '–' END, r.rolname,
			coalesce(string_agg(p.name || CASE WHEN has_table_privilege(r.oid, c.oid, p.name) THEN '' ELSE ' (columns)' END, ', '
				ORDER BY p.i), '')
		FROM pg_class c CROSS JOIN pg_roles r
		LEFT JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY p (name, i)
			ON CASE WHEN p.name = 'DELETE' THEN has_table_privilege(r.oid, c.oid, p.name)
				ELSE has_any_column_privilege(r.oid, c.oid, p.name) END
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND r.rolname LIKE ANY (ARRAY['authenticated', 'intime\_%'])
			AND c.relnamespace IN ('public'::regnamespace, 'app'::regnamespace)
		GROUP BY c.oid, c.relforcerowsecurity, r.rolname ORDER BY c.relnamespace::regnamespace::text DESC, c.relname, r.rolname`)
	b := table(append([]string{"table", "RLS"}, roles...)...)
	for i := 0; i < len(grants); {
		cells := []string{"`" + grants[i].Table + "`", grants[i].Forced, "", "", "", "", ""}
		for name := grants[i].Table; i < len(grants) && grants[i].Table == name; i++ {
			if at := slices.Index(roles, grants[i].Role); at >= 0 {
				cells[at+2] = grants[i].May
			}
		}
		row(b, cells...)
	}
	return b.String()
}

// permissions is the matrix of roles and permissions.
func permissions(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	type cell struct{ Permission, Role, Scope string }
	roles := []string{
		"super_admin", "admin", "recruiter", "bench_sales", "trainer", "hr_manager", "student", "employee", "candidate", "client",
	}
	cells := collect[cell](t, conn, `
		SELECT p.name, r.name, coalesce(x.scope, '') FROM permissions p CROSS JOIN roles r
		LEFT JOIN role_permissions x ON x.permission_name = p.name AND x.role_name = r.name ORDER BY p.name, r.name`)
	b := table(append([]string{"permission"}, roles...)...)
	for i := 0; i < len(cells); i += len(roles) {
		line := append([]string{"`" + cells[i].Permission + "`"}, make([]string, len(roles))...)
		for _, c := range cells[i : i+len(roles)] {
			line[slices.Index(roles, c.Role)+1] = c.Scope
		}
		row(b, line...)
	}
	return b.String()
}

// checkIndexes makes sure that the document says of every index what it is for.
func checkIndexes(t *testing.T, conn *pgx.Conn, document string) {
	t.Helper()
	type index struct{ Name string }
	for _, i := range collect[index](t, conn, `
		SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
		WHERE NOT i.indisprimary AND NOT t.relispartition AND c.relnamespace IN ('public'::regnamespace, 'app'::regnamespace)`) {
		if !strings.Contains(document, "`"+i.Name+"`") {
			t.Errorf("the index %s is not explained", i.Name)
		}
	}
}

// procedures lists the API's procedures and who may call them.
func procedures() string {
	var policy auth.Policy
	lines := map[string][]string{}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "intime.") {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				method := methods.Get(j)
				rule, _ := policy.Rule(method)
				who := "`" + rule.Permission + "`"
				if rule.Public {
					who = "public"
				}
				name := string(method.FullName())
				lines[name] = []string{"`" + name + "`", who}
			}
		}
		return true
	})
	names := make([]string, 0, len(lines))
	for name := range lines {
		names = append(names, name)
	}
	slices.Sort(names)
	b := table("procedure", "who may call it")
	for _, name := range names {
		row(b, lines[name]...)
	}
	return b.String()
}

// eventTypes lists what may be published, and who hears of it.
func eventTypes(t *testing.T) string {
	t.Helper()
	bus, err := app.NewBus(app.Config{Worker: config.Worker{Concurrency: 1}, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	b := table("type", "payload", "permission", "handlers")
	for _, kind := range bus.Types().All() {
		handlers := "–"
		if names := bus.HandlersOf(kind.Name); len(names) > 0 {
			handlers = "`" + strings.Join(names, "`, `") + "`"
		}
		row(b, "`"+kind.Name+"`", fmt.Sprintf("`%s`, version %d", kind.MessageName(), kind.Version), "`"+kind.Permission+"`", handlers)
	}
	return b.String()
}
