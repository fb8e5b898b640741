package eventbus

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	maintenanceQueue = "maintenance"
	// monthsAhead is how many months have their partitions before they begin.
	monthsAhead = 3
	// partitionInterval and sweepInterval are how often these jobs run.
	partitionInterval = 6 * time.Hour
	sweepInterval     = time.Minute
	// sweepBatch is how many overdue deliveries one sweep takes at most.
	sweepBatch = 1000
)

// partitionArgs is the periodic job that makes the partitions of the coming months.
type partitionArgs struct{}

// Kind is the job's name in River.
func (partitionArgs) Kind() string { return "make_partitions" }

type partitionWorker struct {
	river.WorkerDefaults[partitionArgs]

	bus *Bus
	db  *postgres.DB
}

func (w *partitionWorker) Work(ctx context.Context, _ *river.Job[partitionArgs]) error {
	return w.db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		var made int
		if err := tx.QueryRow(ctx, `SELECT app.make_partitions($1)`, monthsAhead).Scan(&made); err != nil {
			return fmt.Errorf("make partitions: %w", err)
		}
		if made > 0 {
			w.bus.config.Logger.InfoContext(ctx, "partitions made", slog.Int("count", made))
		}
		return nil
	})
}

// sweepArgs is the periodic job that looks for deliveries whose own job was lost.
type sweepArgs struct{}

// Kind is the job's name in River.
func (sweepArgs) Kind() string { return "sweep_deliveries" }

type sweepWorker struct {
	river.WorkerDefaults[sweepArgs]

	bus *Bus
	db  *postgres.DB
}

func (w *sweepWorker) Work(ctx context.Context, _ *river.Job[sweepArgs]) error {
	found, err := w.bus.sweep(ctx, w.db)
	if found > 0 {
		w.bus.config.Logger.WarnContext(ctx, "overdue deliveries found", slog.Int("count", found))
	}
	return err
}

// sweep gives overdue deliveries another job and returns how many there were.
func (b *Bus) sweep(ctx context.Context, db *postgres.DB) (found int, err error) {
	err = db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		err := tx.QueryRow(ctx, `
			WITH overdue AS MATERIALIZED (SELECT * FROM app.overdue_deliveries($1, $2)), queued AS MATERIALIZED (
				SELECT app.enqueue_deliveries(array_agg(o.org_id), array_agg(o.event_id), array_agg(o.handler_name),
					array_agg(o.event_type), '{}')
				FROM overdue o HAVING count(*) > 0)
			SELECT (SELECT count(*) FROM overdue) + 0 * (SELECT count(*) FROM queued)`, b.config.SweepAfter, sweepBatch).Scan(&found)
		if err != nil {
			return fmt.Errorf("queue overdue deliveries: %w", err)
		}
		return nil
	})
	return found, err
}

// periodicJobs run on one process at a time: River elects it.
func periodicJobs() []*river.PeriodicJob {
	every := func(interval time.Duration, args func() river.JobArgs) *river.PeriodicJob {
		return river.NewPeriodicJob(river.PeriodicInterval(interval),
			func() (river.JobArgs, *river.InsertOpts) {
				return args(), &river.InsertOpts{Queue: maintenanceQueue, MaxAttempts: 3}
			},
			&river.PeriodicJobOpts{RunOnStart: true})
	}
	return []*river.PeriodicJob{
		every(partitionInterval, func() river.JobArgs { return partitionArgs{} }),
		every(rollUpInterval, func() river.JobArgs { return rollUpArgs{} }),
		every(sweepInterval, func() river.JobArgs { return sweepArgs{} }),
		every(retentionInterval, func() river.JobArgs { return retentionArgs{} }),
	}
}
