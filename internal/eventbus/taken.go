package eventbus

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// ending is how the attempt at a taken delivery ended. The times count from the transaction's beginning.
type ending struct {
	attempt

	began, ended time.Duration
	cause        error // nil for one that ended well; the rest is for the others
	failure      failure
	now          standing
}

func columns(refs []deliveryRef) (orgs, events []uuid.UUID) {
	for _, ref := range refs {
		orgs, events = append(orgs, ref.OrgID), append(events, ref.EventID)
	}
	return orgs, events
}

// skipDisabled skips those of the handler's deliveries that were never attempted where it is disabled meanwhile, and
// returns their events.
func skipDisabled(ctx context.Context, tx *postgres.Tx, handler string, refs ...deliveryRef) (map[uuid.UUID]bool, error) {
	orgs, events := columns(refs)
	var ids []uuid.UUID
	if err := tx.QueryRow(ctx, `SELECT app.skip_disabled($1, $2, $3)`, orgs, events, handler).Scan(&ids); err != nil {
		return nil, fmt.Errorf("skip deliveries: %w", err)
	}
	skipped := map[uuid.UUID]bool{}
	for _, id := range ids {
		skipped[id] = true
	}
	return skipped, nil
}

// takeAttempts takes those of the handler's deliveries that wait for their first attempt, for as long as the transaction
// lasts.
func takeAttempts(ctx context.Context, tx *postgres.Tx, handler string, refs ...deliveryRef) ([]attempt, error) {
	orgs, events := columns(refs)
	rows, err := tx.Query(ctx, `
		SELECT org_id, event_id, delivery_id, event_type, schema_version, payload, metadata, published_at, created_by,
			correlation_id, depth
		FROM app.take_deliveries($1, $2, $3)`, orgs, events, handler)
	if err != nil {
		return nil, fmt.Errorf("take deliveries: %w", err)
	}
	taken, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (attempt, error) {
		a := attempt{HandlerName: handler, Attempt: 1}
		err := row.Scan(&a.OrgID, &a.EventID, &a.DeliveryID, &a.EventType, &a.SchemaVersion, &a.Payload, &a.Metadata,
			&a.PublishedAt, &a.CreatedBy, &a.CorrelationID, &a.Depth)
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("take deliveries: %w", err)
	}
	return taken, nil
}

// succeedTaken ends those that ended well, and their job if it is given.
func succeedTaken(ctx context.Context, tx *postgres.Tx, config Config, handler string, job *int64, all ...ending) error {
	var (
		orgs, events []uuid.UUID
		began, ended []time.Duration
	)
	for _, e := range all {
		if e.cause == nil {
			orgs, events = append(orgs, e.OrgID), append(events, e.EventID)
			began, ended = append(began, e.began), append(ended, e.ended)
		}
	}
	_, err := tx.Exec(ctx, `SELECT app.finish_deliveries($1, $2, $3, $4, $5, $6, $7, $8)`,
		orgs, events, handler, began, ended, config.Worker, config.Version, job)
	if err != nil {
		return fmt.Errorf("finish deliveries: %w", err)
	}
	return nil
}

// fail ends one badly, once what its handler did has been rolled back.
func (e *ending) fail(ctx context.Context, tx *postgres.Tx, config Config, f failure) (standing, error) {
	rows, err := tx.Query(ctx, `
		SELECT status, next_attempt_at FROM app.fail_taken($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		e.OrgID, e.EventID, e.HandlerName, e.began, e.ended, config.Worker, config.Version,
		f.outcome, f.message, f.retryIn, f.giveUp)
	if err != nil {
		return standing{}, fmt.Errorf("fail the delivery: %w", err)
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[standing])
}
