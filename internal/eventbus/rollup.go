package eventbus

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	// rollUpInterval is how often the statistics are counted.
	rollUpInterval = time.Minute
	// rollUpPatience is how long one run counts at most; the next one goes on from there.
	rollUpPatience = 20 * time.Second
	// markBatch is how many marked minutes and hours one transaction counts again.
	markBatch = 200
)

// rollUpArgs is the periodic job that counts events by the minute and the hour.
type rollUpArgs struct{}

// Kind is the job's name in River.
func (rollUpArgs) Kind() string { return "roll_up_events" }

type rollUpWorker struct {
	river.WorkerDefaults[rollUpArgs]

	bus *Bus
	db  *postgres.DB
}

func (w *rollUpWorker) Work(ctx context.Context, _ *river.Job[rollUpArgs]) error {
	return w.bus.RollUp(ctx, w.db)
}

// RollUp counts what happened since it ran last, as the worker's login: hours and minutes that are new, those in which
// something had not ended, and those of replayed events. Running it twice changes nothing. It is what the periodic job
// does, and stops after a while even when it is far behind.
func (b *Bus) RollUp(ctx context.Context, db *postgres.DB) error {
	ending := time.Now().Add(rollUpPatience)
	// Should the server lose these commits in a crash, the same is counted again.
	for more := true; more && time.Now().Before(ending); {
		err := db.LoginRelaxed(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			return tx.QueryRow(ctx, `SELECT app.roll_up_events(now())`).Scan(&more)
		})
		if err != nil {
			return fmt.Errorf("roll up events: %w", err)
		}
	}
	for marks := markBatch; marks >= markBatch && time.Now().Before(ending); {
		err := db.LoginRelaxed(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			return tx.QueryRow(ctx, `SELECT app.recount_marked(now(), $1)`, markBatch).Scan(&marks)
		})
		if err != nil {
			return fmt.Errorf("count marked events again: %w", err)
		}
	}
	return nil
}
