package eventbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

const (
	// replayInterval is how often a process looks for replays that need a job. The API may not touch the queue.
	replayInterval = time.Second
	// replayTurn is how long one job works on a replay before it comes back for another turn: shorter than any job may take.
	replayTurn = 20 * time.Second
	// replayPause is how long a job waits for the batch before to end.
	replayPause = 100 * time.Millisecond
)

// replayArgs is the job that works on one replay.
type replayArgs struct {
	OrgID uuid.UUID `json:"org_id"`
	ID    uuid.UUID `json:"id"`
}

// Kind is the job's name in River.
func (replayArgs) Kind() string { return "run_replay" }

type replayWorker struct {
	river.WorkerDefaults[replayArgs]

	bus *Bus
	db  *postgres.DB
}

// Work runs the replay's batches, one at a time, as whoever started it.
func (w *replayWorker) Work(ctx context.Context, job *river.Job[replayArgs]) error {
	for until := time.Now().Add(replayTurn); time.Now().Before(until) && ctx.Err() == nil; {
		verdict, err := w.runBatch(ctx, job.Args)
		switch {
		case err != nil:
			return err
		case verdict == "more":
			w.bus.wake.ring()
			continue
		case verdict != "wait":
			w.bus.wake.ring()
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(replayPause):
		}
	}
	return river.JobSnooze(time.Second)
}

var errReplayerGone = errors.New("who started the replay may not replay any more")

func (w *replayWorker) runBatch(ctx context.Context, args replayArgs) (verdict string, err error) {
	err = w.db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		var (
			startedBy *uuid.UUID
			active    bool
		)
		err := tx.QueryRow(ctx, `
			SELECT r.started_by, r.started_by IS NULL OR EXISTS (
				SELECT FROM app.session(r.started_by) s WHERE s.org_id = r.org_id AND s.is_active)
			FROM public.event_replays r WHERE r.org_id = $1 AND r.id = $2 AND r.status = 'running'`, args.OrgID, args.ID).
			Scan(&startedBy, &active)
		if errors.Is(err, pgx.ErrNoRows) {
			verdict = "stopped"
			return nil
		}
		if err != nil {
			return fmt.Errorf("find the replay: %w", err)
		}
		if !active {
			return errReplayerGone
		}
		as := principal.System(args.OrgID)
		if startedBy != nil {
			as.UserID = *startedBy
		}
		return tx.As(ctx, as, func(ctx context.Context) error {
			if err := tx.QueryRow(ctx, `SELECT app.run_replay_batch($1)`, args.ID).Scan(&verdict); err != nil {
				return fmt.Errorf("run a batch of a replay: %w", err)
			}
			return nil
		})
	})
	if kind, _ := postgres.KindOf(err); kind == postgres.KindDenied || errors.Is(err, errReplayerGone) {
		return "stopped", w.giveUp(ctx, args)
	}
	return verdict, err
}

// giveUp ends a replay whose starter lost his rights: what he may not do is not done in his name.
func (w *replayWorker) giveUp(ctx context.Context, args replayArgs) error {
	return w.db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE public.event_replays SET status = 'failed', finished_at = clock_timestamp(), job_due_at = NULL, error_message = $3
			WHERE org_id = $1 AND id = $2 AND status = 'running'`, args.OrgID, args.ID, "Who started the replay may not replay any more.")
		if err != nil {
			return fmt.Errorf("give up the replay: %w", err)
		}
		return nil
	})
}

// runReplays gives running replays a job until the context ends: new ones, and those whose job was lost.
func (b *Bus) runReplays(ctx context.Context, db *postgres.DB, client *river.Client[pgx.Tx]) {
	tick := time.NewTicker(replayInterval)
	defer tick.Stop()
	for {
		if err := enqueueReplays(ctx, db, client); err != nil && ctx.Err() == nil {
			b.config.Logger.WarnContext(ctx, "replays not looked for", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func enqueueReplays(ctx context.Context, db *postgres.DB, client *river.Client[pgx.Tx]) error {
	return db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `
			UPDATE public.event_replays r SET job_due_at = clock_timestamp() + interval '90 seconds'
			FROM (
				SELECT d.org_id, d.id FROM public.event_replays d JOIN public.organizations o ON o.id = d.org_id
				WHERE d.status = 'running' AND d.job_due_at <= clock_timestamp() AND o.status = 'active' AND o.deleted_at IS NULL
				ORDER BY d.job_due_at LIMIT 10 FOR UPDATE OF d SKIP LOCKED
			) due
			WHERE r.org_id = due.org_id AND r.id = due.id
			RETURNING r.org_id, r.id`)
		if err != nil {
			return fmt.Errorf("find replays: %w", err)
		}
		due, err := pgx.CollectRows(rows, pgx.RowToStructByName[replayArgs])
		if err != nil || len(due) == 0 {
			return err
		}
		params := make([]river.InsertManyParams, len(due))
		for i, args := range due {
			params[i] = river.InsertManyParams{Args: args, InsertOpts: &river.InsertOpts{Queue: maintenanceQueue}}
		}
		if _, err := client.InsertManyFastTx(ctx, tx, params); err != nil {
			return fmt.Errorf("insert jobs: %w", err)
		}
		return nil
	})
}
