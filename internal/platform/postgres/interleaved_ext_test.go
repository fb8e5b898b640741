package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// Three people of two organisations share two connections, and their transactions end in every way there is. Whatever
// happens, each finds himself and his own organisation, and nothing else.
func TestDB_Interleaved(t *testing.T) {
	t.Parallel()
	const transactions, goroutines = 2000, 8
	w := newWorld(t)
	db := w.open(t, postgres.LoginAPI, postgres.Config{MaxConns: 2})
	mix := &mixture{db: db, people: []principal.Principal{
		principalOf(w.A, w.A.Recruiter), principalOf(w.A, person(t, "ana@acme.example").ID()), principalOf(w.B, w.B.Recruiter),
	}}
	var (
		group sync.WaitGroup
		left  atomic.Int64
	)
	left.Store(transactions)
	for seed := range uint64(goroutines) {
		group.Go(func() {
			random := rand.New(rand.NewPCG(seed, 20))
			for left.Add(-1) >= 0 {
				mix.one(t.Context(), random)
			}
		})
	}
	group.Wait()
	mix.mutex.Lock()
	defer mix.mutex.Unlock()
	require.Empty(t, mix.leaks)
	require.Equal(t, transactions, mix.ended[0]+mix.ended[1]+mix.ended[2]+mix.ended[3]+mix.ended[4])
	for way, n := range mix.ended {
		require.Positive(t, n, "nothing ended in way %d: %v", way, mix.ended)
	}
	require.Positive(t, mix.saw.Load())
	for range 2 {
		after := look(t, db)
		require.Equal(t, clean(after.PID, postgres.LoginAPI), after)
	}
	require.Zero(t, db.Stat().AcquiredConns())
	require.Equal(t, []string{}, column[string](t, w.Admin, `
		SELECT DISTINCT o.slug FROM jobs j JOIN organizations o ON o.id = j.org_id
		WHERE title <> 'Backend developer' AND title <> o.id::text`), "a job was written into another's organisation")
}

// mixture runs transactions and notes what should not have happened.
type mixture struct {
	db     *postgres.DB
	people []principal.Principal
	saw    atomic.Int64 // rows seen in all

	mutex sync.Mutex
	leaks []string
	ended [5]int // by way: committed, failed, failed in Postgres, panicked, cancelled
}

func (m *mixture) leakf(format string, args ...any) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.leaks = append(m.leaks, fmt.Sprintf(format, args...))
}

func (m *mixture) one(ctx context.Context, random *rand.Rand) {
	me := m.people[random.IntN(len(m.people))]
	way := random.IntN(len(m.ended))
	ctx, cancel := context.WithCancel(principal.With(ctx, me))
	defer cancel()
	if way == 4 {
		timer := time.AfterFunc(time.Duration(random.IntN(3000))*time.Microsecond, cancel)
		defer timer.Stop()
	}
	defer func() {
		if recovered := recover(); recovered != nil && recovered != any(errOops) {
			m.leakf("panic: %v", recovered)
		}
		m.mutex.Lock()
		defer m.mutex.Unlock()
		m.ended[way]++
	}()
	begin := m.db.Tenant
	if random.IntN(4) == 0 {
		begin = m.db.TenantRead
	}
	err := begin(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return m.transaction(ctx, tx, me, way, random)
	})
	if way == 0 && err != nil && state(err) != "25006" && state(err) != "57014" {
		// 25006: it was for reading alone. 57014: another's cancellation was late, and hit whoever had the connection next.
		m.leakf("it should have committed: %v", err)
	}
}

func (m *mixture) transaction(ctx context.Context, tx *postgres.Tx, me principal.Principal, way int, random *rand.Rand) error {
	for range 1 + random.IntN(3) {
		if err := m.look(ctx, tx, me); err != nil {
			return err
		}
		if random.IntN(2) == 0 {
			if err := insertTitled(ctx, tx, me.OrgID, me.UserID, me.OrgID.String()); err != nil {
				return err
			}
		}
	}
	switch way {
	case 1:
		return errOops
	case 2:
		_, err := tx.Exec(ctx, `SELECT 1 / 0`)
		return err
	case 3:
		panic(errOops)
	case 4:
		_, err := tx.Exec(ctx, `SELECT pg_sleep(0.002)`)
		return err
	}
	return nil
}

// look compares what the transaction finds with who it was begun for.
func (m *mixture) look(ctx context.Context, tx *postgres.Tx, me principal.Principal) error {
	var (
		user     string
		uid, org *uuid.UUID
		own, all int
	)
	err := tx.QueryRow(ctx, `
		SELECT current_user, auth.uid(), app.org_id(), count(*) FILTER (WHERE org_id = $1), count(*) FROM jobs`, me.OrgID).
		Scan(&user, &uid, &org, &own, &all)
	if err != nil {
		if state(err) == "" && !errors.Is(err, context.Canceled) {
			m.leakf("%v", err)
		}
		return err
	}
	m.saw.Add(int64(all))
	if user != "authenticated" || uid == nil || *uid != me.UserID || org == nil || *org != me.OrgID || own != all || own < 2 {
		m.leakf("%v found himself to be %v (%s) of %v, with %d of %d jobs his organisation's", me.UserID, uid, user, org, own, all)
	}
	return nil
}
