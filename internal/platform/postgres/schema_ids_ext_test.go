package postgres_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

func TestSchema_UUIDv7(t *testing.T) {
	t.Parallel()
	conn := apptest.Connect(t, apptest.Database(t))
	ids := column[uuid.UUID](t, conn, `SELECT app.uuid_v7() FROM generate_series(1, 5000)`)
	var from, to time.Time
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT now(), clock_timestamp()`).Scan(&from, &to))
	ids = append(ids, column[uuid.UUID](t, conn, `SELECT app.uuid_v7()`)...)
	times := make([]int64, 0, len(ids))
	for _, id := range ids {
		require.EqualValues(t, 7, id.Version())
		require.Equal(t, uuid.RFC4122, id.Variant())
		times = append(times, milliseconds(id))
	}
	require.True(t, slices.IsSorted(times), "ids begin with the time at which they were made")
	// A millisecond is rounded down: an id never comes from the future.
	require.GreaterOrEqual(t, times[len(times)-1], to.UnixMilli())
	require.LessOrEqual(t, times[0], from.UnixMilli())
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) })
	require.Len(t, slices.Compact(ids), 5001, "no id comes twice")
	// The random bits really vary: each of them is set in about half of the ids.
	var set [128]int
	for _, id := range ids {
		for bit := range set {
			set[bit] += int(id[bit/8]>>(7-bit%8)) & 1
		}
	}
	for bit := 52; bit < 128; bit++ {
		if bit != 64 && bit != 65 {
			require.InDelta(t, 2500, set[bit], 300, "bit %d", bit)
		}
	}
}

// milliseconds is the time of an id of version 7.
func milliseconds(id uuid.UUID) int64 {
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return ms
}

func TestSchema_UUIDv7Floor(t *testing.T) {
	t.Parallel()
	conn := apptest.Connect(t, apptest.Database(t))
	for at, want := range map[string]string{
		"1970-01-01 00:00:00+00":        "00000000-0000-0000-0000-000000000000",
		"1970-01-01 00:00:00.001+00":    "00000000-0001-0000-0000-000000000000",
		"1969-12-31 23:59:59.999+00":    "00000000-0000-0000-0000-000000000000", // nothing is older
		"0001-01-01 00:00:00+00":        "00000000-0000-0000-0000-000000000000",
		"2026-12-01 00:00:00+00":        "01a22ee6-b000-0000-0000-000000000000",
		"2026-11-30 23:59:59.9999+00":   "01a22ee6-afff-0000-0000-000000000000", // rounded down, not up into December
		"2026-12-01 00:00:00.000999+00": "01a22ee6-b000-0000-0000-000000000000",
		"2026-12-01 14:00:00+14":        "01a22ee6-b000-0000-0000-000000000000",
		"9999-12-31 23:59:59.999+00":    "e677d21f-dbff-0000-0000-000000000000",
	} {
		moment, err := time.Parse("2006-01-02 15:04:05.999999-07", at)
		require.NoError(t, err)
		require.Equal(t, max(moment.UnixMilli(), 0), milliseconds(uuid.MustParse(want)), "the test's own table: %s", at)
		require.Equal(t, []string{want}, column[string](t, conn, `SELECT app.uuid_v7_floor($1::text::timestamptz)::text`, at), at)
	}
	require.Equal(t, []bool{true}, column[bool](t, conn, `SELECT app.uuid_v7_floor(NULL) IS NULL`))
	require.Equal(t, []bool{true}, column[bool](t, conn, `SELECT app.uuid_v7() >= app.uuid_v7_floor(now())`))
}

// bounds are the months' partitions of a table with their bounds.
func bounds(t *testing.T, conn *pgx.Conn, table string) map[string]string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
		SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
		WHERE inhparent = $1::text::regclass AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT'`, table)
	require.NoError(t, err)
	all := map[string]string{}
	var name, bound string
	_, err = pgx.ForEachRow(rows, []any{&name, &bound}, func() error { all[name] = bound; return nil })
	require.NoError(t, err)
	return all
}

// floorOf is what app.uuid_v7_floor has to answer.
func floorOf(at time.Time) uuid.UUID {
	var id uuid.UUID
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}

// An id belongs to the month of its time, in UTC, to the last millisecond.
func TestSchema_Partitions_Months(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// The session's own time zone must not matter.
	w.exec(t, `SET timezone = 'Pacific/Kiritimati'`)
	w.exec(t, `SELECT app.make_partitions(14)`)
	var now time.Time
	w.scan(t, `SELECT now()`, nil, &now)
	now = now.UTC()
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	for _, table := range []string{"audit_logs", "events", "event_deliveries", "event_attempts"} {
		got := bounds(t, w.Admin, table)
		require.Len(t, got, 15, table)
		for i := range 15 {
			month := first.AddDate(0, i, 0)
			require.Equal(t, "FOR VALUES FROM ('"+floorOf(month).String()+"') TO ('"+floorOf(month.AddDate(0, 1, 0)).String()+"')",
				got[table+month.Format("_2006_01")], table)
		}
		require.Zero(t, w.count(t, `SELECT count(*) FROM partitions.`+table+`_default`), "%s: nothing strays into the default", table)
	}
	insert := func(id uuid.UUID) string {
		t.Helper()
		var partition string
		w.scan(t, `INSERT INTO audit_logs (id, org_id, actor_kind, action, table_name) VALUES (@id, @org, 'operator', 'test', 'none')
			RETURNING tableoid::regclass::text`, pgx.NamedArgs{"id": id, "org": w.A.Org}, &partition)
		return partition
	}
	for i := 1; i < 15; i++ {
		month := first.AddDate(0, i, 0)
		require.Equal(t, "partitions.audit_logs"+month.Format("_2006_01"), insert(floorOf(month)))
		last := floorOf(month.Add(-time.Millisecond))
		for j := 6; j < 16; j++ {
			last[j] = 0xff
		}
		require.Equal(t, "partitions.audit_logs"+month.Add(-time.Hour).Format("_2006_01"), insert(last))
	}
	// What is beyond is kept, and in the way of the partition that it belongs to: that has to be noticed.
	beyond := first.AddDate(0, 20, 0)
	require.Equal(t, "partitions.audit_logs_default", insert(floorOf(beyond)))
	require.Equal(t, "partitions.audit_logs_default", insert(floorOf(first.Add(-time.Millisecond))))
	_, err := w.Admin.Exec(t.Context(), `SELECT app.make_partitions(20)`)
	requireState(t, stateCheck, err)
	require.Equal(t, 2, w.count(t, `SELECT count(*) FROM partitions.audit_logs_default`))
}

func TestSchema_MakePartitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	worker := w.login(t, postgres.LoginWorker)
	made := func(ahead any) int32 {
		t.Helper()
		return column[int32](t, worker, `SELECT app.make_partitions($1)`, ahead)[0]
	}
	require.Zero(t, made(3), "a migration has made these")
	require.Zero(t, made(nil))
	require.Zero(t, made(0))
	require.Zero(t, made(-5))
	require.EqualValues(t, 5, made(4), "one more month of each of the five tables")
	require.Zero(t, made(4))
	for _, r := range rules() {
		if strings.Contains(r.name, "partition") {
			require.Empty(t, column[string](t, w.Admin, r.query), r.name)
		}
	}
	for _, role := range []string{"authenticated", "anon", "none"} {
		asRole(t, w.login(t, postgres.LoginAPI), role, "", func(tx pgx.Tx) {
			_, err := try(t, tx, `SELECT app.make_partitions(1)`)
			requireState(t, stateDenied, err, role)
			_, err = try(t, tx, `SELECT app.partition_by_month('jobs')`)
			requireState(t, stateDenied, err, role)
		})
	}
	as(t, worker, claimsOfSystem(w.A.Org), func(tx pgx.Tx) {
		_, err := try(t, tx, `SELECT app.make_partitions(1)`)
		requireState(t, stateDenied, err, "a handler")
	})
}

func TestSchema_MakePartitions_AtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const processes = 4
	type outcome struct {
		made int32
		err  error
	}
	outcomes := make(chan outcome)
	for range processes {
		conn := w.login(t, postgres.LoginWorker)
		go func() {
			var o outcome
			o.err = conn.QueryRow(t.Context(), `SELECT app.make_partitions(12)`).Scan(&o.made)
			outcomes <- o
		}()
	}
	var made int32
	for range processes {
		o := <-outcomes
		require.NoError(t, o.err)
		made += o.made
	}
	require.EqualValues(t, 5*9, made, "each partition was made once")
}
