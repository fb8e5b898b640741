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
	// ArchiveAfter is when a dead letter leaves the list that is shown first.
	ArchiveAfter = 30 * 24 * time.Hour
	// KeepKeysFor is how long an idempotency key is remembered.
	KeepKeysFor = 30 * 24 * time.Hour
	// DefaultRetentionDays is how long settled events are kept where the organisation says nothing else; app.retention_days
	// says the same.
	DefaultRetentionDays = 365

	// retentionInterval is how often what is old is looked for.
	retentionInterval = time.Hour
	// retentionBatch is how many rows one transaction removes or archives at most.
	retentionBatch = 500
	// retentionTurn is how long one job tidies up before it comes back for another turn: shorter than any job may take.
	retentionTurn = 30 * time.Second
)

// retentionArgs is the periodic job that archives and removes what is old.
type retentionArgs struct{}

// Kind is the job's name in River.
func (retentionArgs) Kind() string { return "tidy_up" }

type retentionWorker struct {
	river.WorkerDefaults[retentionArgs]

	bus *Bus
	db  *postgres.DB
}

// Work tidies up for one turn, and comes back where something is left.
func (w *retentionWorker) Work(ctx context.Context, _ *river.Job[retentionArgs]) error {
	ctx, cancel := context.WithTimeout(ctx, retentionTurn)
	defer cancel()
	err := w.bus.tidyUp(ctx, w.db)
	if ctx.Err() != nil {
		return river.JobSnooze(time.Second)
	}
	return err
}

// chore is one kind of old rows and the statement that deals with a batch of them and answers how many there were.
type chore struct {
	done string // for the log
	sql  string
	args []any
}

func chores() []chore {
	return []chore{
		{"dead letters archived", `SELECT app.archive_dead_letters($1, $2)`, []any{ArchiveAfter, retentionBatch}},
		{"events removed", `SELECT app.expire_events($1)`, []any{retentionBatch}},
		{"idempotency keys removed", `SELECT app.expire_idempotency_keys($1, $2)`, []any{KeepKeysFor, retentionBatch}},
		{"replays tidied up", `SELECT app.expire_replays($1)`, []any{retentionBatch}},
		// Nothing is published in a cascade any more whose first event nobody keeps.
		{"cascade counts removed", `SELECT app.expire_cascades(app.longest_retention(), $1)`, []any{retentionBatch}},
	}
}

// tidyUp archives old dead letters and removes what nobody keeps any more: row by row for each organisation, and by whole
// partitions what is older than all of them keep.
func (b *Bus) tidyUp(ctx context.Context, db *postgres.DB) error {
	// Partitions first: what goes with them need not be removed row by row.
	if err := b.dropMonths(ctx, db); err != nil {
		b.config.Logger.WarnContext(ctx, "partitions not removed", slog.Any("error", err))
	}
	organizations, err := activeOrganizations(ctx, db)
	if err != nil {
		return err
	}
	// What fails for one does not hold up the others.
	var failed []error
	for _, org := range organizations {
		for _, c := range chores() {
			if err := b.doChore(ctx, db, org, c); err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", c.done, err))
			}
		}
	}
	return errors.Join(failed...)
}

// doChore deals with batch after batch until one is not full.
func (b *Bus) doChore(ctx context.Context, db *postgres.DB, org uuid.UUID, c chore) error {
	total := 0
	for count := retentionBatch; count == retentionBatch; total += count {
		ctx := principal.With(ctx, principal.System(org))
		err := db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			return tx.QueryRow(ctx, c.sql, c.args...).Scan(&count)
		})
		if err != nil {
			return err
		}
	}
	if total > 0 {
		b.config.Logger.InfoContext(ctx, "tidied up", slog.String("what", c.done), slog.String("org_id", org.String()),
			slog.Int("count", total))
	}
	return nil
}

func activeOrganizations(ctx context.Context, db *postgres.DB) (all []uuid.UUID, err error) {
	err = db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id FROM public.organizations WHERE status = 'active' AND deleted_at IS NULL ORDER BY id`)
		if err != nil {
			return fmt.Errorf("list organisations: %w", err)
		}
		all, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	return all, err
}

// dropMonths drops the partitions that nobody keeps any more, each in a transaction of its own.
func (b *Bus) dropMonths(ctx context.Context, db *postgres.DB) error {
	var months []time.Time
	err := db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `SELECT app.expired_months()`)
		if err != nil {
			return fmt.Errorf("look for old partitions: %w", err)
		}
		months, err = pgx.CollectRows(rows, pgx.RowTo[time.Time])
		return err
	})
	if err != nil {
		return err
	}
	for _, month := range months {
		err := db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			var dropped bool
			if err := tx.QueryRow(ctx, `SELECT app.drop_month($1)`, month).Scan(&dropped); err != nil {
				return fmt.Errorf("drop the partitions of %s: %w", month.Format("2006-01"), err)
			}
			b.config.Logger.InfoContext(ctx, "old partitions", slog.String("month", month.Format("2006-01")), slog.Bool("dropped", dropped))
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
