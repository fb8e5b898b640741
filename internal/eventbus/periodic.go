package eventbus

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// PeriodicJob is work that the bus does by itself, on one of the worker processes.
type PeriodicJob struct {
	// Name is the job's, for example "sweep_deliveries".
	Name string
	// Interval is how often it runs.
	Interval time.Duration
	// LastRunAt is when it last ended well; nil where that is not known.
	LastRunAt *time.Time
	// LastError is the error of a run that has not ended well since; empty without one.
	LastError string
}

// NextRunAt is when it is due, counted from its last run; nil where it has not run.
func (j PeriodicJob) NextRunAt() *time.Time {
	if j.LastRunAt == nil {
		return nil
	}
	next := j.LastRunAt.Add(j.Interval)
	return &next
}

// Overdue says whether it should have run and did not. It is given a while for a process that starts and for the election
// of who runs it.
func (j PeriodicJob) Overdue(now time.Time) bool {
	const grace = 2 * time.Minute
	return j.LastRunAt == nil || now.After(j.NextRunAt().Add(grace))
}

// schedule is how often each periodic job runs.
func schedule() []PeriodicJob {
	return []PeriodicJob{
		{Name: partitionArgs{}.Kind(), Interval: partitionInterval},
		{Name: rollUpArgs{}.Kind(), Interval: rollUpInterval},
		{Name: sweepArgs{}.Kind(), Interval: sweepInterval},
		{Name: retentionArgs{}.Kind(), Interval: retentionInterval},
	}
}

// PeriodicJobs returns the bus's periodic jobs by name, with their last runs, as the worker's login. River keeps a run for a
// day.
func (b *Bus) PeriodicJobs(ctx context.Context, db *postgres.DB) ([]PeriodicJob, error) {
	jobs := schedule()
	names := make([]string, len(jobs))
	for i, j := range jobs {
		names[i] = j.Name
	}
	err := db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT k.kind, good.at, coalesce(bad.error, '')
			FROM unnest($1::text[]) AS k (kind)
			LEFT JOIN LATERAL (
				SELECT max(finalized_at) AS at FROM river.river_job WHERE kind = k.kind AND state = 'completed') good ON true
			LEFT JOIN LATERAL (
				SELECT errors[cardinality(errors)] ->> 'error' AS error FROM river.river_job
				WHERE kind = k.kind AND state IN ('retryable', 'discarded', 'cancelled')
					AND (good.at IS NULL OR attempted_at > good.at)
				ORDER BY id DESC LIMIT 1) bad ON true`, names)
		if err != nil {
			return err
		}
		var (
			kind, failure string
			at            *time.Time
		)
		_, err = pgx.ForEachRow(rows, []any{&kind, &at, &failure}, func() error {
			i := slices.Index(names, kind)
			jobs[i].LastRunAt, jobs[i].LastError = at, failure
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look at the periodic jobs: %w", err)
	}
	return jobs, nil
}
