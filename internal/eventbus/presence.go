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
	presenceInterval = 3 * time.Second
	// presentFor is how long it counts as there after that. Then it is lost, and others take over what it was doing.
	presentFor = 4 * presenceInterval
)

// stayPresent keeps this program on the list of those that handle events, until the context ends.
func (b *Bus) stayPresent(ctx context.Context, db *postgres.DB) {
	tick := time.NewTicker(presenceInterval)
	defer tick.Stop()
	for {
		if err := b.present(ctx, db); err != nil && ctx.Err() == nil {
			b.config.Logger.WarnContext(ctx, "worker not listed", slog.Any("error", err))
		} else if err := b.rescue(ctx, db); err != nil && ctx.Err() == nil {
			b.config.Logger.WarnContext(ctx, "lost workers not looked for", slog.Any("error", err))
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
			INSERT INTO app.event_workers AS w (name, version, handler_names) VALUES ($1, $2, $3)
			ON CONFLICT ON CONSTRAINT event_workers_pkey DO UPDATE
			SET version = excluded.version, handler_names = excluded.handler_names, seen_at = now()`,
			b.config.Worker, b.config.Version, names)
		if err != nil {
			return fmt.Errorf("list the worker: %w", err)
		}
		return nil
	})
}

// rescue takes over what programs were doing that have not been seen for a while. The program itself was seen just now.
func (b *Bus) rescue(ctx context.Context, db *postgres.DB) error {
	var lost []string
	if err := db.LoginRow(ctx, `SELECT app.rescue_from_lost($1)`, []any{presentFor}, &lost); err != nil {
		return fmt.Errorf("look for lost workers: %w", err)
	}
	if len(lost) > 0 {
		b.config.Logger.WarnContext(ctx, "workers lost", slog.Any("workers", lost))
	}
	return nil
}

func (b *Bus) absent(ctx context.Context, db *postgres.DB) error {
	return db.LoginRelaxed(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM app.event_workers WHERE name = $1`, b.config.Worker)
		return err
	})
}
