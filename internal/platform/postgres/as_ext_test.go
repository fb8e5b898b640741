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

// acting is who acts in a transaction.
type acting struct {
	User, Claims string
	Subject, Org *uuid.UUID
	Jobs         int // that he sees; -1 where he may not look
}

func actor(ctx context.Context, t *testing.T, tx *postgres.Tx) acting {
	t.Helper()
	var a acting
	require.NoError(t, tx.QueryRow(ctx, `SELECT current_user, current_setting('request.jwt.claims'), auth.uid()`).
		Scan(&a.User, &a.Claims, &a.Subject))
	a.Jobs = -1
	if a.User == "authenticated" {
		require.NoError(t, tx.QueryRow(ctx, `SELECT app.org_id(), count(*) FROM jobs`).Scan(&a.Org, &a.Jobs))
	}
	return a
}

func principalOf(of tenant, user uuid.UUID) principal.Principal {
	return principal.Principal{UserID: user, OrgID: of.Org}
}

func TestTx_As(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginWorker, postgres.Config{MaxConns: 1})
	before := look(t, db)
	login := acting{User: "intime_worker", Jobs: -1}
	for _, first := range []bool{true, false} {
		require.NoError(t, db.Login(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			if !first {
				require.Equal(t, login, actor(ctx, t, tx))
			}
			// A person of one organisation, one of the other, the system, and somebody who does not exist.
			for _, c := range []struct {
				p    principal.Principal
				want acting
			}{
				{principalOf(w.A, w.A.Recruiter), acting{Subject: &w.A.Recruiter, Org: &w.A.Org, Jobs: 2}},
				{principalOf(w.B, w.B.Recruiter), acting{Subject: &w.B.Recruiter, Org: &w.B.Org, Jobs: 2}},
				{principal.System(w.A.Org), acting{Org: &w.A.Org, Jobs: 2}},
				{principalOf(w.A, uuid.Nil), acting{Org: &w.A.Org, Jobs: 2}},
				{principalOf(w.A, w.B.Recruiter), acting{Subject: &w.B.Recruiter, Org: &w.B.Org, Jobs: 2}},
			} {
				require.NoError(t, tx.As(ctx, c.p, func(ctx context.Context) error {
					p, ok := principal.From(ctx)
					require.True(t, ok)
					require.Equal(t, c.p, p)
					got := actor(ctx, t, tx)
					c.want.User, c.want.Claims = "authenticated", got.Claims
					require.Equal(t, c.want, got)
					_, err := tx.Exec(ctx, `SAVEPOINT mine`)
					require.NoError(t, err)
					_, err = tx.Exec(ctx, `TABLE river.river_job`)
					requireState(t, stateDenied, err, "the queue is not for handlers")
					_, err = tx.Exec(ctx, `ROLLBACK TO mine`)
					return err
				}))
				require.Equal(t, login, actor(ctx, t, tx))
				_, err := tx.Exec(ctx, `TABLE river.river_job`)
				require.NoError(t, err)
			}
			// A function that asks nothing changes nothing.
			require.NoError(t, tx.As(ctx, principal.System(w.A.Org), func(context.Context) error { return nil }))
			require.Equal(t, login, actor(ctx, t, tx))
			return nil
		}))
		require.Equal(t, clean(before.PID, postgres.LoginWorker), look(t, db))
	}
}

// What the principal and the login write commits together, or not at all.
func TestTx_As_OneTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginWorker, postgres.Config{MaxConns: 1})
	before := look(t, db)
	work := func(title string, outcome func() error) error {
		return db.Login(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE events SET error_message = $2 WHERE id = $1`, w.A.Event, title)
			require.NoError(t, err)
			if err := tx.As(ctx, principalOf(w.A, w.A.Recruiter), func(ctx context.Context) error {
				require.NoError(t, insertTitled(ctx, tx, w.A.Org, w.A.Recruiter, title))
				return outcome()
			}); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `UPDATE events SET retry_count = retry_count + 1 WHERE id = $1`, w.A.Event)
			return err
		})
	}
	note := func() string {
		return column[string](t, w.Admin,
			`SELECT coalesce(error_message, '') || ' ' || retry_count FROM events WHERE id = $1`, w.A.Event)[0]
	}
	require.ErrorIs(t, work("failed", func() error { return errOops }), errOops)
	require.Equal(t, " 0", note())
	require.Zero(t, w.titled(t, "failed"))
	require.Equal(t, clean(before.PID, postgres.LoginWorker), look(t, db))

	require.Panics(t, func() { _ = work("panicked", func() error { panic("oops") }) })
	require.Equal(t, " 0", note())
	require.Zero(t, w.titled(t, "panicked"))
	require.Equal(t, clean(before.PID, postgres.LoginWorker), look(t, db))

	require.NoError(t, work("done", func() error { return nil }))
	require.Equal(t, "done 1", note())
	require.Equal(t, 1, w.titled(t, "done"))
	require.Equal(t, clean(before.PID, postgres.LoginWorker), look(t, db))

	// An error of Postgres that the function hides is found out.
	err := db.Login(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.As(ctx, principalOf(w.A, w.A.Recruiter), func(ctx context.Context) error {
			require.NoError(t, insertTitled(ctx, tx, w.A.Org, w.A.Recruiter, "hidden"))
			_, _ = tx.Exec(ctx, `SELECT 1 / 0`)
			return nil
		})
	})
	require.Error(t, err)
	require.Zero(t, w.titled(t, "hidden"))
	require.Equal(t, clean(look(t, db).PID, postgres.LoginWorker), look(t, db))
}

// Who already acts for a tenant cannot become another.
func TestTx_As_NotTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nested := func(ctx context.Context, tx *postgres.Tx) error {
		return tx.As(ctx, principalOf(w.B, w.B.Recruiter), func(ctx context.Context) error {
			_, err := tx.Exec(ctx, `TABLE jobs`)
			return err
		})
	}
	api := w.open(t, postgres.LoginAPI, postgres.Config{MaxConns: 1})
	for _, warm := range []bool{false, true} {
		err := api.Tenant(onBehalf(t, "rita@acme.example"), func(ctx context.Context, tx *postgres.Tx) error {
			if warm {
				require.Equal(t, &w.A.Org, actor(ctx, t, tx).Org)
			}
			return nested(ctx, tx)
		})
		requireState(t, stateDenied, err)
	}
	worker := w.open(t, postgres.LoginWorker, postgres.Config{MaxConns: 1})
	err := worker.Login(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.As(ctx, principalOf(w.A, w.A.Recruiter), func(ctx context.Context) error { return nested(ctx, tx) })
	})
	requireState(t, stateDenied, err)
	// Nor does the API's login become the system.
	err = api.Login(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.As(ctx, principal.System(w.A.Org), func(ctx context.Context) error {
			require.Equal(t, acting{User: "authenticated", Claims: actor(ctx, t, tx).Claims}, actor(ctx, t, tx))
			return pgx.ErrNoRows
		})
	})
	require.ErrorIs(t, err, pgx.ErrNoRows)
}

// inRun is a context within a handler's run.
func inRun(ctx context.Context, handler string) context.Context {
	return principal.WithRun(ctx, principal.Run{EventID: uuid.Max, Handler: handler})
}

// runOf is the run that the claims name; empty where they name none.
func runOf(ctx context.Context, t *testing.T, tx *postgres.Tx) (handler string) {
	t.Helper()
	require.NoError(t, tx.QueryRow(ctx, `
		SELECT coalesce(nullif(current_setting('request.jwt.claims'), '')::jsonb -> 'run' ->> 'handler', '')`).Scan(&handler))
	return handler
}

// Runs that share a principal and a transaction each have claims of their own, whichever of them ask something.
func TestTx_Claim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginWorker, postgres.Config{MaxConns: 1})
	before := look(t, db)
	login := acting{User: "intime_worker", Jobs: -1}
	for asking := range 1 << 4 {
		asks := func(i int) bool { return asking&(1<<i) != 0 }
		require.NoError(t, db.Login(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			if asks(3) {
				require.Equal(t, login, actor(ctx, t, tx))
			}
			require.NoError(t, tx.As(ctx, principalOf(w.A, w.A.Recruiter), func(ctx context.Context) error {
				for i, handler := range []string{"first", "second", "third"} {
					outcome := map[bool]error{true: errOops}[i == 1]
					require.ErrorIs(t, tx.Nested(ctx, func(ctx context.Context) error {
						ctx = inRun(ctx, handler)
						require.NoError(t, tx.Claim(ctx))
						if asks(i) {
							require.Equal(t, handler, runOf(ctx, t, tx))
							require.Equal(t, "authenticated", actor(ctx, t, tx).User)
						}
						return outcome
					}), outcome)
				}
				return nil
			}))
			require.Equal(t, login, actor(ctx, t, tx))
			require.Empty(t, runOf(ctx, t, tx))
			return nil
		}))
		require.Equal(t, clean(before.PID, postgres.LoginWorker), look(t, db))
	}
}

// A run that asks nothing costs nothing, and one that asks something sends what it needs along.
func TestTx_Claim_Costs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.open(t, postgres.LoginWorker, postgres.Config{MaxConns: 1})
	require.ErrorIs(t, db.Login(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		as := func(do func(ctx context.Context)) {
			require.NoError(t, tx.As(ctx, principalOf(w.A, w.A.Recruiter), func(ctx context.Context) error {
				return tx.Nested(ctx, func(ctx context.Context) error {
					require.NoError(t, tx.Claim(inRun(ctx, "mine")))
					do(ctx)
					return nil
				})
			}))
		}
		idle := tx.Waiting()
		as(func(context.Context) {})
		require.Equal(t, idle, tx.Waiting(), "nothing was asked")
		as(func(context.Context) { require.Equal(t, idle+2, tx.Waiting(), "the claims and the savepoint") })
		return tx.Claim(ctx)
	}), postgres.ErrNoTenant)
}
