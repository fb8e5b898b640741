package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

var errOops = errors.New("oops")

// insertTitled inserts a job of organisation A, as its recruiter.
func insertTitled(ctx context.Context, tx pgx.Tx, org, recruiter uuid.UUID, title string) error {
	_, err := tx.Exec(ctx, `INSERT INTO jobs (org_id, title, description, required_skills, location, created_by)
		VALUES ($1, $2, 'Writes services in Go.', '{Go}', 'Lisbon', $3)`, org, title, recruiter)
	return err
}

func (w *world) titled(t *testing.T, title string) int {
	t.Helper()
	return w.count(t, `SELECT count(*) FROM jobs WHERE title = $1`, title)
}

// session is what a connection is left with.
type session struct {
	PID                uint32
	User, Role, Claims string
	// Changed are the settings that are not what they were when the connection was made, timeouts for example.
	Changed []string
}

// look looks at the connection that the pool gives next.
func look(t *testing.T, db *postgres.DB) session {
	t.Helper()
	var s session
	require.NoError(t, db.LoginRow(context.WithoutCancel(t.Context()), `
		SELECT pg_backend_pid(), current_user, current_setting('role'), coalesce(current_setting('request.jwt.claims', true), ''),
			(SELECT coalesce(array_agg(name || ' = ' || setting), '{}') FROM pg_settings WHERE source = 'session')`, nil,
		&s.PID, &s.User, &s.Role, &s.Claims, &s.Changed))
	return s
}

// clean is what every connection has to be left with.
func clean(pid uint32, login postgres.Login) session {
	return session{PID: pid, User: string(login), Role: "none", Changed: []string{}}
}

func TestDB_Tenant_OnBehalfOfNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginWorker, postgres.Config{MaxConns: 1})
	never := func(context.Context, *postgres.Tx) error { panic("this must not run") }
	for name, ctx := range map[string]context.Context{
		"no principal":              t.Context(),
		"an empty one":              principal.With(t.Context(), principal.Principal{}),
		"without an organisation":   principal.With(t.Context(), principal.Principal{UserID: w.A.Recruiter}),
		"the system of no tenant":   principal.With(t.Context(), principal.System(uuid.Nil)),
		"only a request, no person": principal.WithRequest(t.Context(), principal.Request{ID: "x"}),
	} {
		require.ErrorIs(t, db.Tenant(ctx, never), postgres.ErrNoTenant, name)
		require.ErrorIs(t, db.TenantRead(ctx, never), postgres.ErrNoTenant, name)
	}
	require.ErrorIs(t, db.Login(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.As(ctx, principal.System(uuid.Nil), func(context.Context) error { panic("this must not run") })
	}), postgres.ErrNoTenant)
}

func TestDB_Tenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginAPI, postgres.Config{
		MaxConns: 1, ApplicationName: "a test",
		StatementTimeout: 7 * time.Second, LockTimeout: 1500 * time.Millisecond, IdleTimeout: time.Minute,
	})
	ctx := principal.WithRequest(onBehalf(t, "rita@acme.example"), principal.Request{ID: "r-1", IP: "192.0.2.1", UserAgent: `"\`})
	require.NoError(t, db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		p, ok := principal.From(ctx)
		require.True(t, ok)
		require.Equal(t, w.A.Recruiter, p.UserID)
		var user, login, uid, timeouts, requestID, agent, zone, application string
		var org uuid.UUID
		require.NoError(t, tx.QueryRow(ctx, `
			SELECT current_user, session_user, auth.uid()::text, app.org_id(), concat_ws(' ', current_setting('statement_timeout'),
				current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')),
				auth.jwt() ->> 'request_id', auth.jwt() ->> 'user_agent', current_setting('timezone'),
				current_setting('application_name')`).
			Scan(&user, &login, &uid, &org, &timeouts, &requestID, &agent, &zone, &application))
		require.Equal(t, []string{"authenticated", "intime_api", w.A.Recruiter.String(), "7s 1500ms 1min", "r-1", `"\`, "UTC", "a test"},
			[]string{user, login, uid, timeouts, requestID, agent, zone, application})
		require.Equal(t, w.A.Org, org)
		return insertTitled(ctx, tx, w.A.Org, w.A.Recruiter, "kept")
	}))
	require.Equal(t, 1, w.titled(t, "kept"))
	require.ErrorIs(t, db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		require.NoError(t, insertTitled(ctx, tx, w.A.Org, w.A.Recruiter, "dropped"))
		return errOops
	}), errOops)
	require.Zero(t, w.titled(t, "dropped"))
	require.NoError(t, db.Tenant(ctx, func(context.Context, *postgres.Tx) error { return nil }), "nothing to do is fine")
}

func TestDB_TenantRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginAPI, postgres.Config{MaxConns: 1})
	for _, warm := range []bool{false, true} {
		err := db.TenantRead(onBehalf(t, "rita@acme.example"), func(ctx context.Context, tx *postgres.Tx) error {
			if warm {
				var n int
				require.NoError(t, tx.QueryRow(ctx, `SELECT count(*) FROM jobs`).Scan(&n))
				require.Equal(t, 2, n)
			}
			return insertTitled(ctx, tx, w.A.Org, w.A.Recruiter, "written")
		})
		requireState(t, "25006", err)
	}
	require.Zero(t, w.titled(t, "written"))
}

// However a transaction ends, its connection goes back to the pool as it came.
func TestDB_LeavesConnectionsClean(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sleep := func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `SELECT pg_sleep(600)`)
		return err
	}
	broken := func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `SELECT 1 / 0`)
		return err
	}
	insert := func(ctx context.Context, tx *postgres.Tx) error {
		return insertTitled(ctx, tx, w.A.Org, w.A.Recruiter, "mine")
	}
	for name, c := range map[string]struct {
		fn    func(ctx context.Context, tx *postgres.Tx) error
		state string
		is    error
		kept  bool // the connection is the same as before
	}{
		"commit":  {fn: insert, kept: true},
		"nothing": {fn: func(context.Context, *postgres.Tx) error { return nil }, kept: true},
		"an error before anything was asked": {
			fn: func(context.Context, *postgres.Tx) error { return errOops }, is: errOops, kept: true,
		},
		"an error afterwards": {fn: func(ctx context.Context, tx *postgres.Tx) error {
			return errors.Join(insert(ctx, tx), errOops)
		}, is: errOops, kept: true},
		"an error of Postgres at once": {fn: broken, state: "22012", kept: true},
		"an error of Postgres later": {fn: func(ctx context.Context, tx *postgres.Tx) error {
			return errors.Join(insert(ctx, tx), broken(ctx, tx))
		}, state: "22012", kept: true},
		"an error of Postgres, swallowed": {fn: func(ctx context.Context, tx *postgres.Tx) error {
			_, _ = insert(ctx, tx), broken(ctx, tx)
			return nil
		}, is: pgx.ErrTxCommitRollback, kept: true},
		"a syntax error at once": {fn: func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `SELECT $1 FROM nowhere`, 1)
			return err
		}, state: "42P01", kept: true},
		"a statement that took too long at once": {fn: sleep, state: "57014"},
		"a statement that took too long later": {fn: func(ctx context.Context, tx *postgres.Tx) error {
			return errors.Join(insert(ctx, tx), sleep(ctx, tx))
		}, state: "57014"},
		"cancelled between statements": {fn: func(ctx context.Context, tx *postgres.Tx) error {
			ctx, cancel := context.WithCancel(ctx)
			require.NoError(t, insert(ctx, tx))
			cancel()
			return insert(ctx, tx)
		}, is: context.Canceled},
		"rows left unread": {fn: func(ctx context.Context, tx *postgres.Tx) error {
			rows, err := tx.Query(ctx, `SELECT generate_series(1, 100000)`)
			require.NoError(t, err)
			require.True(t, rows.Next())
			return errOops
		}, is: errOops},
		"a batch left unread": {fn: func(ctx context.Context, tx *postgres.Tx) error {
			var batch pgx.Batch
			batch.Queue(`SELECT 1`)
			batch.Queue(`SELECT 2`)
			tx.SendBatch(ctx, &batch)
			return errOops
		}, is: errOops},
	} {
		db := w.open(t, postgres.LoginAPI, postgres.Config{MaxConns: 1, StatementTimeout: 150 * time.Millisecond})
		before := look(t, db)
		require.Equal(t, clean(before.PID, postgres.LoginAPI), before)
		err := db.Tenant(onBehalf(t, "rita@acme.example"), c.fn)
		switch {
		case c.is != nil:
			require.ErrorIs(t, err, c.is, name)
		case c.state != "":
			requireState(t, c.state, err, name)
		default:
			require.NoError(t, err, name)
		}
		after := look(t, db)
		require.Equal(t, clean(after.PID, postgres.LoginAPI), after, name)
		if c.kept {
			require.Equal(t, before.PID, after.PID, "%s: the connection was thrown away", name)
		}
		require.Zero(t, db.Stat().AcquiredConns(), name)
	}
	require.Equal(t, 1, w.titled(t, "mine"), "one of them committed")
	require.Empty(t, column[string](t, w.Admin,
		`SELECT state || ': ' || query FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`))
}

func TestDB_Tenant_Panic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginAPI, postgres.Config{MaxConns: 1})
	before := look(t, db)
	ran := false
	require.PanicsWithError(t, "oops", func() {
		_ = db.Tenant(onBehalf(t, "rita@acme.example"), func(ctx context.Context, tx *postgres.Tx) error {
			tx.AfterCommit(func() { ran = true })
			require.NoError(t, insertTitled(ctx, tx, w.A.Org, w.A.Recruiter, "panicked"))
			panic(errOops)
		})
	})
	require.Equal(t, clean(before.PID, postgres.LoginAPI), look(t, db))
	require.False(t, ran)
	require.Zero(t, w.titled(t, "panicked"))
}

func TestDB_Login(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginWorker, postgres.Config{MaxConns: 1})
	before := look(t, db)
	for want, begin := range map[string]func(context.Context, func(context.Context, *postgres.Tx) error) error{
		"on": db.Login, "off": db.LoginRelaxed,
	} {
		// A principal of the context does not matter: the login acts on behalf of nobody.
		require.NoError(t, begin(onBehalf(t, "ana@acme.example"), func(ctx context.Context, tx *postgres.Tx) error {
			var user, claims, sync string
			require.NoError(t, tx.QueryRow(ctx, `
				SELECT current_user, current_setting('request.jwt.claims'), current_setting('synchronous_commit')`).
				Scan(&user, &claims, &sync))
			require.Equal(t, []string{"intime_worker", "", want}, []string{user, claims, sync})
			return nil
		}))
		require.Equal(t, clean(before.PID, postgres.LoginWorker), look(t, db))
	}
	var n int
	require.ErrorIs(t, db.LoginRow(t.Context(), `SELECT 1 WHERE false`, nil, &n), pgx.ErrNoRows)
	require.NoError(t, db.LoginRow(t.Context(), `SELECT $1::int + 1`, []any{1}, &n))
	require.Equal(t, 2, n)
}

// Who hangs up or runs out of time takes his query along.
func TestDB_Cancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginAPI, postgres.Config{MaxConns: 1, StatementTimeout: 10 * time.Minute})
	running := func() int {
		return len(column[int32](t, w.Admin, `SELECT pid FROM pg_stat_activity
			WHERE datname = current_database() AND state = 'active' AND query LIKE 'SELECT pg_sleep%'`))
	}
	sleep := func(later bool) func(ctx context.Context, tx *postgres.Tx) error {
		return func(ctx context.Context, tx *postgres.Tx) error {
			if later {
				if err := insertTitled(ctx, tx, w.A.Org, w.A.Recruiter, "cancelled"); err != nil {
					return err
				}
			}
			_, err := tx.Exec(ctx, `SELECT pg_sleep(600)`)
			return err
		}
	}
	for _, later := range []bool{false, true} {
		ctx, cancel := context.WithCancel(onBehalf(t, "rita@acme.example"))
		done := make(chan error, 1)
		go func() { done <- db.Tenant(ctx, sleep(later)) }()
		apptest.Eventually(t, func() bool { return running() == 1 }, "the query never started")
		cancel()
		err := <-done
		require.ErrorIs(t, err, context.Canceled)
		kind, _ := postgres.KindOf(err)
		require.Equal(t, postgres.KindCanceled, kind)
		apptest.Eventually(t, func() bool { return running() == 0 }, "the query went on")

		ctx, cancel = context.WithTimeout(onBehalf(t, "rita@acme.example"), 100*time.Millisecond)
		err = db.Tenant(ctx, sleep(later))
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		kind, _ = postgres.KindOf(err)
		require.Equal(t, postgres.KindTimeout, kind)
		apptest.Eventually(t, func() bool { return running() == 0 }, "the query went on")
		after := look(t, db)
		require.Equal(t, clean(after.PID, postgres.LoginAPI), after)
	}
	require.Zero(t, w.titled(t, "cancelled"))
	// Who has hung up before he begins gets no connection.
	ctx, cancel := context.WithCancel(onBehalf(t, "rita@acme.example"))
	cancel()
	err := db.Tenant(ctx, func(context.Context, *postgres.Tx) error { panic("this must not run") })
	kind, _ := postgres.KindOf(err)
	require.Equal(t, postgres.KindCanceled, kind)
}

func TestDB_Timeouts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginAPI, postgres.Config{
		MaxConns: 2, StatementTimeout: time.Minute, LockTimeout: 50 * time.Millisecond, IdleTimeout: 100 * time.Millisecond,
	})
	rita := onBehalf(t, "rita@acme.example")

	holder, err := w.Admin.Begin(t.Context())
	require.NoError(t, err)
	_, err = holder.Exec(t.Context(), `SELECT FROM jobs WHERE id = $1 FOR UPDATE`, w.A.Job)
	require.NoError(t, err)
	err = db.Tenant(rita, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE jobs SET title = 'x' WHERE id = $1`, w.A.Job)
		return err
	})
	requireState(t, "55P03", err)
	kind, _ := postgres.KindOf(err)
	require.Equal(t, postgres.KindConflict, kind)
	require.NoError(t, holder.Rollback(t.Context()))

	slow := w.open(t, postgres.LoginAPI, postgres.Config{MaxConns: 1, StatementTimeout: 50 * time.Millisecond})
	err = slow.Tenant(rita, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `SELECT pg_sleep(600)`)
		return err
	})
	require.ErrorContains(t, err, "statement timeout")
	require.NotErrorIs(t, err, context.Canceled)
	kind, _ = postgres.KindOf(err)
	require.Equal(t, postgres.KindTimeout, kind)

	// A transaction that does nothing for too long loses its connection, and the pool gets another.
	err = db.Tenant(rita, func(ctx context.Context, tx *postgres.Tx) error {
		require.NoError(t, insertTitled(ctx, tx, w.A.Org, w.A.Recruiter, "idle"))
		pid := tx.Conn().PgConn().PID()
		apptest.Eventually(t, func() bool { //nolint:contextcheck // it is the superuser who looks
			return len(column[int32](t, w.Admin, `SELECT pid FROM pg_stat_activity WHERE pid = $1`, pid)) == 0
		}, "the idle transaction went on")
		_, err := tx.Exec(ctx, `SELECT 1`)
		return err
	})
	kind, _ = postgres.KindOf(err)
	require.Contains(t, []postgres.Kind{postgres.KindTimeout, postgres.KindUnavailable}, kind, "%v", err)
	require.Zero(t, w.titled(t, "idle"))
	require.NoError(t, db.Tenant(rita, func(ctx context.Context, tx *postgres.Tx) error {
		return insertTitled(ctx, tx, w.A.Org, w.A.Recruiter, "healed")
	}))
	require.Equal(t, 1, w.titled(t, "healed"))
}

func TestTx_AfterCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginAPI, postgres.Config{MaxConns: 1})
	rita := onBehalf(t, "rita@acme.example")
	var ran []string
	transaction := func(name string, fn func(ctx context.Context, tx *postgres.Tx) error) error {
		return db.Tenant(rita, func(ctx context.Context, tx *postgres.Tx) error {
			tx.AfterCommit(func() { //nolint:contextcheck // it is the superuser who looks
				// By then others see what was committed.
				ran = append(ran, fmt.Sprint(name, " ", w.titled(t, name)))
			})
			require.NoError(t, insertTitled(ctx, tx, w.A.Org, w.A.Recruiter, name))
			require.Zero(t, w.titled(t, name)) //nolint:contextcheck // as above
			tx.AfterCommit(func() { ran = append(ran, "then") })
			return fn(ctx, tx)
		})
	}
	require.NoError(t, transaction("committed", func(context.Context, *postgres.Tx) error { return nil }))
	require.Equal(t, []string{"committed 1", "then"}, ran)
	require.Error(t, transaction("failed", func(context.Context, *postgres.Tx) error { return errOops }))
	require.Error(t, transaction("aborted", func(ctx context.Context, tx *postgres.Tx) error {
		_, _ = tx.Exec(ctx, `SELECT 1 / 0`)
		return nil
	}))
	ctx, cancel := context.WithCancel(rita)
	require.Error(t, db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		tx.AfterCommit(func() { ran = append(ran, "cancelled") })
		require.NoError(t, insertTitled(ctx, tx, w.A.Org, w.A.Recruiter, "cancelled"))
		cancel()
		return nil
	}))
	require.Len(t, ran, 2)
	require.Zero(t, w.titled(t, "failed")+w.titled(t, "aborted")+w.titled(t, "cancelled"))
}

func TestTx_Savepoints(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginAPI, postgres.Config{MaxConns: 1})
	insert := func(ctx context.Context, tx pgx.Tx, title string) {
		require.NoError(t, insertTitled(ctx, tx, w.A.Org, w.A.Recruiter, title))
	}
	require.NoError(t, db.Tenant(onBehalf(t, "rita@acme.example"), func(ctx context.Context, tx *postgres.Tx) error {
		// The first statement of all may be a savepoint.
		released, err := tx.Begin(ctx)
		require.NoError(t, err)
		insert(ctx, released, "released")
		require.NoError(t, released.Commit(ctx))
		require.ErrorIs(t, released.Commit(ctx), pgx.ErrTxClosed)
		require.ErrorIs(t, released.Rollback(ctx), pgx.ErrTxClosed)

		outer, err := tx.Begin(ctx)
		require.NoError(t, err)
		insert(ctx, outer, "outer")
		inner, err := outer.Begin(ctx)
		require.NoError(t, err)
		insert(ctx, inner, "inner, rolled back")
		_, err = inner.Exec(ctx, `SELECT 1 / 0`)
		requireState(t, "22012", err)
		require.NoError(t, inner.Rollback(ctx), "an error in a savepoint ends with it")
		require.ErrorIs(t, inner.Rollback(ctx), pgx.ErrTxClosed)
		second, err := outer.Begin(ctx)
		require.NoError(t, err)
		insert(ctx, second, "second inner")
		require.NoError(t, second.Commit(ctx))
		require.NoError(t, outer.Commit(ctx))

		require.ErrorIs(t, pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
			insert(ctx, tx, "dropped")
			return pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
				insert(ctx, tx, "dropped with it")
				return errOops
			})
		}), errOops)
		insert(ctx, tx, "last")
		return nil
	}))
	require.Equal(t, []string{"last", "outer", "released", "second inner"}, column[string](t, w.Admin,
		`SELECT title FROM jobs WHERE title <> 'Backend developer' ORDER BY 1`))
}

// The transaction belongs to the function that began it, and ends with it.
func TestTx_NotYours(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginAPI, postgres.Config{MaxConns: 1})
	for _, used := range []bool{false, true} {
		var kept *postgres.Tx
		require.NoError(t, db.Tenant(onBehalf(t, "rita@acme.example"), func(ctx context.Context, tx *postgres.Tx) error {
			kept = tx
			require.Error(t, tx.Commit(ctx))
			require.Error(t, tx.Rollback(ctx))
			require.Panics(t, func() { tx.LargeObjects() })
			if used {
				return insertTitled(ctx, tx, w.A.Org, w.A.Recruiter, "used")
			}
			return nil
		}))
		// By now the connection may be somebody else's.
		ctx := t.Context()
		_, err := kept.Exec(ctx, `SELECT 1`)
		require.ErrorIs(t, err, pgx.ErrTxClosed)
		_, err = kept.Query(ctx, `SELECT 1`) //nolint:sqlclosecheck // it gives no rows
		require.ErrorIs(t, err, pgx.ErrTxClosed)
		var n int
		require.ErrorIs(t, kept.QueryRow(ctx, `SELECT 1`).Scan(&n), pgx.ErrTxClosed)
		var batch pgx.Batch
		batch.Queue(`SELECT 1`)
		require.ErrorIs(t, kept.SendBatch(ctx, &batch).Close(), pgx.ErrTxClosed)
		results := kept.SendBatch(ctx, &batch)
		_, err = results.Exec()
		require.ErrorIs(t, err, pgx.ErrTxClosed)
		_, err = results.Query() //nolint:sqlclosecheck // it gives no rows
		require.ErrorIs(t, err, pgx.ErrTxClosed)
		require.ErrorIs(t, results.QueryRow().Scan(&n), pgx.ErrTxClosed)
		_, err = kept.CopyFrom(ctx, pgx.Identifier{"jobs"}, []string{"title"}, pgx.CopyFromRows(nil))
		require.ErrorIs(t, err, pgx.ErrTxClosed)
		_, err = kept.Prepare(ctx, "x", `SELECT 1`)
		require.ErrorIs(t, err, pgx.ErrTxClosed)
		_, err = kept.Begin(ctx)
		require.ErrorIs(t, err, pgx.ErrTxClosed)
	}
	require.Equal(t, 1, w.titled(t, "used"))
}

// Each way to ask works as a transaction's first statement, which BEGIN goes with, and as a later one.
func TestTx_EveryWayToAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginAPI, postgres.Config{MaxConns: 1})
	const ask = `SELECT n, current_user::text FROM generate_series(1, 3) AS n`
	for name, way := range map[string]func(ctx context.Context, tx *postgres.Tx) (string, error){
		"exec": func(ctx context.Context, tx *postgres.Tx) (string, error) {
			tag, err := tx.Exec(ctx, ask)
			return tag.String(), err
		},
		"query": func(ctx context.Context, tx *postgres.Tx) (string, error) {
			rows, err := tx.Query(ctx, ask)
			if err != nil {
				return "", err
			}
			users, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
				var n int
				var user string
				err := row.Scan(&n, &user)
				return fmt.Sprint(n, user), err
			})
			return strings.Join(users, " "), err
		},
		"query one row": func(ctx context.Context, tx *postgres.Tx) (string, error) {
			var n int
			var user string
			err := tx.QueryRow(ctx, ask).Scan(&n, &user)
			return fmt.Sprint(n, user), err
		},
		"no row": func(ctx context.Context, tx *postgres.Tx) (string, error) {
			var n int
			err := tx.QueryRow(ctx, `SELECT 1 WHERE false`).Scan(&n)
			require.ErrorIs(t, err, pgx.ErrNoRows)
			return "none", nil
		},
		"a row that cannot be read": func(ctx context.Context, tx *postgres.Tx) (string, error) {
			var n int
			require.Error(t, tx.QueryRow(ctx, `SELECT 'x'::text`).Scan(&n))
			return "unread", nil
		},
		"batch": func(ctx context.Context, tx *postgres.Tx) (string, error) {
			var batch pgx.Batch
			var users []string
			batch.Queue(ask)
			batch.Queue(`SELECT current_user::text`).QueryRow(func(row pgx.Row) error {
				users = append(users, "")
				return row.Scan(&users[0])
			})
			err := tx.SendBatch(ctx, &batch).Close()
			return strings.Join(users, " "), err
		},
		"prepare": func(ctx context.Context, tx *postgres.Tx) (string, error) {
			_, err := tx.Prepare(ctx, "asked", ask)
			if err != nil {
				return "", err
			}
			tag, err := tx.Exec(ctx, "asked")
			return tag.String(), errors.Join(err, tx.Conn().Deallocate(ctx, "asked"))
		},
		"copy": func(ctx context.Context, tx *postgres.Tx) (string, error) {
			_, err := tx.CopyFrom(ctx, pgx.Identifier{"jobs"}, []string{"title"}, pgx.CopyFromRows([][]any{{"x"}}))
			require.ErrorContains(t, err, "COPY FROM not supported with row-level security")
			return "refused", nil
		},
	} {
		for _, first := range []bool{true, false} {
			var answer string
			err := db.Tenant(onBehalf(t, "rita@acme.example"), func(ctx context.Context, tx *postgres.Tx) (err error) {
				if !first {
					_, err = tx.Exec(ctx, `SELECT 1`)
					require.NoError(t, err)
				}
				answer, err = way(ctx, tx)
				require.NoError(t, err, name)
				if name != "copy" {
					var user string
					require.NoError(t, tx.QueryRow(ctx, `SELECT current_user`).Scan(&user), "%s: the connection is free again", name)
					require.Equal(t, "authenticated", user)
					return nil
				}
				return errOops
			})
			require.True(t, err == nil || errors.Is(err, errOops), "%s: %v", name, err)
			require.Equal(t, map[string]string{
				"exec": "SELECT 3", "query": "1authenticated 2authenticated 3authenticated",
				"query one row": "1authenticated", "no row": "none",
				"a row that cannot be read": "unread", "batch": "authenticated", "prepare": "SELECT 3", "copy": "refused",
			}[name], answer, name)
		}
	}
}
