package eventbus

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	// presenceInterval is how often a program that handles events says that it is there.
	presenceInterval = 10 * time.Second
	// presentFor is how long it counts as there after that.
	presentFor = 35 * time.Second
	// forgottenAfter is how long a program that ended without a word stays on the list.
	forgottenAfter = 24 * time.Hour
)

// stayPresent keeps this program on the list of those that handle events, until the context ends.
func (b *Bus) stayPresent(ctx context.Context, db *postgres.DB) {
	tick := time.NewTicker(presenceInterval)
	defer tick.Stop()
	for {
		if err := b.present(ctx, db); err != nil && ctx.Err() == nil {
			b.config.Logger.WarnContext(ctx, "worker not listed", slog.Any("error", err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			// Its handlers may still be running, but it takes nothing new.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			if err := b.absent(ctx, db); err != nil {
				b.config.Logger.WarnContext(ctx, "worker not taken off the list", slog.Any("error", err))
			}
			return
		}
	}
}

func (b *Bus) present(ctx context.Context, db *postgres.DB) error {
	names := []string{}
	for _, r := range b.registrations() {
		names = append(names, r.name)
	}
	return db.LoginRelaxed(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `
			WITH forgotten AS (DELETE FROM app.event_workers WHERE seen_at < now() - $4::interval)
			INSERT INTO app.event_workers AS w (name, version, handler_names) VALUES ($1, $2, $3)
			ON CONFLICT ON CONSTRAINT event_workers_pkey DO UPDATE
			SET version = excluded.version, handler_names = excluded.handler_names, seen_at = now()`,
			b.config.Worker, b.config.Version, names, forgottenAfter)
		if err != nil {
			return fmt.Errorf("list the worker: %w", err)
		}
		return nil
	})
}

func (b *Bus) absent(ctx context.Context, db *postgres.DB) error {
	return db.LoginRelaxed(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM app.event_workers WHERE name = $1`, b.config.Worker)
		return err
	})
}
