package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// Postgres itself says what goes wrong.
func TestKindOf_Real(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := `INSERT INTO jobs (org_id, title, description, required_skills, location, salary_min) VALUES `
	org := "'" + w.A.Org.String() + "'"
	for sql, want := range map[string]struct {
		kind       postgres.Kind
		state      string
		constraint string
	}{
		`INSERT INTO organizations (name, slug) VALUES ('A', 'acme')`: {postgres.KindUnique, "23505", "organizations_slug_key"},
		job + `('` + w.A.Job.String() + `', 'T', 'long enough', '{Go}', 'L', NULL)`: {
			postgres.KindForeignKey, "23503", "jobs_org_id_fkey",
		},
		job + `(` + org + `, '', 'long enough', '{Go}', 'L', NULL)`:                  {postgres.KindCheck, "23514", "jobs_title_check"},
		job + `(` + org + `, NULL, 'long enough', '{Go}', 'L', NULL)`:                {postgres.KindCheck, "23502", ""},
		job + `(` + org + `, 'T', 'long enough', '{Go}', 'L', 99999999999999999999)`: {postgres.KindCheck, "22003", ""},
		`SELECT 'x'::uuid`:                                     {postgres.KindCheck, "22P02", ""},
		`SELECT 'x'::date`:                                     {postgres.KindCheck, "22007", ""},
		`SELECT '2026-02-30'::date`:                            {postgres.KindCheck, "22008", ""},
		`SELECT '"\u0000"'::jsonb ->> 0`:                       {postgres.KindCheck, "22P05", ""},
		"SELECT '\xff'":                                        {postgres.KindCheck, "22021", ""},
		`SELECT publish_event(NULL, '{}')`:                     {postgres.KindDenied, "42501", ""},
		`DELETE FROM audit_logs`:                               {postgres.KindDenied, "42501", ""},
		`SET statement_timeout = '20ms'; SELECT pg_sleep(600)`: {postgres.KindTimeout, "57014", ""},
		`SELECT 1 / 0`:                                         {postgres.KindOther, "22012", ""},
		`SELECT nothing`:                                       {postgres.KindOther, "42703", ""},
		`SELECT pg_terminate_backend(pg_backend_pid())`:        {postgres.KindUnavailable, "57P01", ""},
	} {
		conn := apptest.Connect(t, w.URL)
		_, err := conn.Exec(t.Context(), sql)
		requireState(t, want.state, err, sql)
		kind, constraint := postgres.KindOf(fmt.Errorf("wrapped: %w", err))
		require.Equal(t, want.kind, kind, sql)
		require.Equal(t, want.constraint, constraint, sql)
	}
	// Two that lock the same rows in opposite order, two that change the same row under a stricter isolation.
	require.Equal(t, postgres.KindConflict, kindOf(w.deadlock(t)))
	require.Equal(t, postgres.KindConflict, kindOf(w.serialization(t)))
	holder, err := w.Admin.Begin(t.Context())
	require.NoError(t, err)
	_, err = holder.Exec(t.Context(), `LOCK TABLE jobs`)
	require.NoError(t, err)
	_, err = apptest.Connect(t, w.URL).Exec(t.Context(), `BEGIN; LOCK TABLE jobs NOWAIT`)
	requireState(t, "55P03", err)
	require.Equal(t, postgres.KindConflict, kindOf(err))
	require.NoError(t, holder.Rollback(t.Context()))
}

func kindOf(err error) postgres.Kind {
	kind, _ := postgres.KindOf(err)
	return kind
}

func (w *world) deadlock(t *testing.T) error {
	t.Helper()
	one, two := apptest.Connect(t, w.URL), apptest.Connect(t, w.URL)
	for conn, job := range map[*pgx.Conn]any{one: w.A.Job, two: w.B.Job} {
		_, err := conn.Exec(t.Context(), `BEGIN`)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), `SET LOCAL deadlock_timeout = '10ms'`)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), `SELECT FROM jobs WHERE id = $1 FOR UPDATE`, job)
		require.NoError(t, err)
	}
	outcome := make(chan error, 1)
	go func() {
		_, err := one.Exec(t.Context(), `SELECT FROM jobs WHERE id = $1 FOR UPDATE`, w.B.Job)
		if err != nil {
			_, _ = one.Exec(t.Context(), `ROLLBACK`)
		}
		outcome <- err
	}()
	_, err := two.Exec(t.Context(), `SELECT FROM jobs WHERE id = $1 FOR UPDATE`, w.A.Job)
	_, _ = two.Exec(t.Context(), `ROLLBACK`)
	err = errors.Join(err, <-outcome)
	// The one that was not chosen still holds its rows.
	_, _ = one.Exec(t.Context(), `ROLLBACK`)
	requireState(t, "40P01", err)
	return err
}

func (w *world) serialization(t *testing.T) error {
	t.Helper()
	conn := apptest.Connect(t, w.URL)
	tx, err := conn.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), `SELECT FROM jobs`)
	require.NoError(t, err)
	w.exec(t, `UPDATE jobs SET title = 'x' WHERE id = $1`, w.A.Job)
	_, err = tx.Exec(t.Context(), `UPDATE jobs SET title = 'y' WHERE id = $1`, w.A.Job)
	requireState(t, "40001", err)
	return err
}

// What takes too much arranging to provoke.
func TestKindOf(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]postgres.Kind{
		"08000": postgres.KindUnavailable, "08006": postgres.KindUnavailable, "08P01": postgres.KindUnavailable,
		"53100": postgres.KindUnavailable, "53200": postgres.KindUnavailable, "53300": postgres.KindUnavailable,
		"57P01": postgres.KindUnavailable, "57P02": postgres.KindUnavailable, "57P03": postgres.KindUnavailable,
		"25P03": postgres.KindTimeout, "25P04": postgres.KindTimeout,
		"22001": postgres.KindCheck, "22023": postgres.KindCheck,
		"XX000": postgres.KindOther, "42P01": postgres.KindOther, "25006": postgres.KindOther, "": postgres.KindOther,
	} {
		require.Equal(t, want, kindOf(&pgconn.PgError{Code: code}), code)
	}
	for want, errs := range map[postgres.Kind][]error{
		postgres.KindOther:    {nil, errOops, pgx.ErrNoRows},
		postgres.KindTimeout:  {context.DeadlineExceeded, fmt.Errorf("x: %w", context.DeadlineExceeded)},
		postgres.KindCanceled: {context.Canceled, fmt.Errorf("%w: %w", context.Canceled, &pgconn.PgError{Code: "57014"})},
		postgres.KindUnavailable: {
			io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, &net.OpError{Op: "dial", Err: errOops}, &net.DNSError{},
		},
		// What a caller's context has nothing to do with.
		postgres.KindUnique: {fmt.Errorf("%w: %w", context.Canceled, &pgconn.PgError{Code: "23505"})},
	} {
		for _, err := range errs {
			require.Equal(t, want, kindOf(err), "%v", err)
		}
	}
}

func TestKindOf_Unavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url, err := postgres.LoginURL(w.URL, postgres.LoginAPI)
	require.NoError(t, err)
	// The database takes no connection more.
	w.exec(t, `ALTER DATABASE `+w.Admin.Config().Database+` CONNECTION LIMIT 0`)
	_, err = postgres.Open(t.Context(), postgres.Config{URL: url})
	require.Equal(t, postgres.KindUnavailable, kindOf(err), "%v", err)
	w.exec(t, `ALTER DATABASE `+w.Admin.Config().Database+` CONNECTION LIMIT -1`)

	// Nobody listens.
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, err = postgres.Open(t.Context(), postgres.Config{URL: "postgres://x:y@" + address + "/z"})
	require.Equal(t, postgres.KindUnavailable, kindOf(err), "%v", err)
	require.ErrorContains(t, err, "no Postgres answers at "+address)
	require.NotContains(t, err.Error(), "x:y")

	// The server goes away in the middle of a transaction; the pool gets over it.
	db := w.open(t, postgres.LoginAPI, postgres.Config{MaxConns: 1})
	err = db.Tenant(onBehalf(t, "rita@acme.example"), func(ctx context.Context, tx *postgres.Tx) error {
		require.NoError(t, insertTitled(ctx, tx, w.A.Org, w.A.Recruiter, "lost"))
		w.exec(t, `SELECT pg_terminate_backend($1)`, tx.Conn().PgConn().PID()) //nolint:contextcheck // the superuser's
		_, err := tx.Exec(ctx, `SELECT 1`)
		return err
	})
	require.Equal(t, postgres.KindUnavailable, kindOf(err), "%v", err)
	require.Zero(t, w.titled(t, "lost"))
	require.NoError(t, db.Ping(t.Context()))

	_, err = postgres.Open(t.Context(), postgres.Config{URL: "postgres://x:secret@[::1/"})
	require.ErrorContains(t, err, "cannot be read")
	require.NotContains(t, err.Error(), "secret")
	wrong := *w.Admin.Config().Copy()
	_, err = postgres.Open(t.Context(), postgres.Config{
		URL: fmt.Sprintf("host=%s port=%d dbname=%s user=nobody password=wrong", wrong.Host, wrong.Port, wrong.Database),
	})
	require.ErrorContains(t, err, "does not let nobody in")
	require.Equal(t, postgres.KindOther, kindOf(err), "a wrong password is not made right by waiting")
}

func TestDB_ClockSkew(t *testing.T) {
	t.Parallel()
	db := open(t, apptest.Database(t), postgres.LoginAPI, postgres.Config{MaxConns: 1})
	skew, err := db.ClockSkew(t.Context())
	require.NoError(t, err)
	require.Less(t, skew.Abs(), postgres.MaxClockSkew, "it is the same machine")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = db.ClockSkew(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestDB_Listen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginWorker, postgres.Config{MaxConns: 1})
	conn, err := db.Listen(t.Context())
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	require.Zero(t, db.Stat().AcquiredConns(), "it is not one of the pool's")
	require.Equal(t, "intime_worker", conn.Config().User)
	_, err = conn.Exec(t.Context(), `LISTEN here`)
	require.NoError(t, err)
	w.exec(t, `NOTIFY here, 'hello'`)
	heard, err := conn.WaitForNotification(t.Context())
	require.NoError(t, err)
	require.Equal(t, "hello", heard.Payload)
}

func TestConfig_WithDefaults(t *testing.T) {
	t.Parallel()
	require.Equal(t, postgres.Config{
		MaxConns: 10, StatementTimeout: 5 * time.Second, LockTimeout: 2 * time.Second, IdleTimeout: 10 * time.Second,
	}, postgres.Config{}.WithDefaults())
	set := postgres.Config{
		URL: "u", ApplicationName: "a", MaxConns: 1, StatementTimeout: 2, LockTimeout: 3, IdleTimeout: 4,
	}
	require.Equal(t, set, set.WithDefaults())
}

// What somebody searches for is found as he wrote it, whatever it means in a pattern or in SQL.
func TestContains(t *testing.T) {
	t.Parallel()
	conn := apptest.Connect(t, apptest.Database(t))
	for _, c := range []struct {
		search, text string
		found        bool
	}{
		{"go", "a go developer", true},
		{"  GO ", "a go developer", true},
		{"", "anything", true},
		{"50%", "at 50% now", true},
		{"50%", "at 500 now", false},
		{"a_b", "a_b", true},
		{"a_b", "axb", false},
		{`\`, `a\b`, true},
		{`\`, "ab", false},
		{`\%`, `x\%y`, true},
		{`%`, "ab", false},
		{"'; DROP", "x'; drop y", true},
		{"ä", "Ä"[:0] + "ä", true},
	} {
		filter := postgres.NewFilter(`true`)
		filter.And(`@text LIKE @pattern`, "pattern", postgres.Contains(c.search))
		filter.Args["text"] = c.text
		got := column[bool](t, conn, `SELECT `+filter.SQL(), filter.Args)
		require.Equal(t, []bool{c.found}, got, "%q in %q", c.search, c.text)
	}
	require.Equal(t, "true", postgres.NewFilter().SQL())
}
