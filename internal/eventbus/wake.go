package eventbus

import (
	"context"
	"log/slog"
	"time"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	// channel is what processes notify each other on. The payload says nothing: whoever hears it looks for himself.
	channel = "intime_events"
	// reconnectInterval is how long a lost notification connection waits before it tries again. The dispatcher's interval
	// covers what was missed meanwhile.
	reconnectInterval = time.Second
)

// wake tells that something was published. Ringing never blocks, and many rings may become one.
type wake struct{ rung chan struct{} }

func newWake() *wake { return &wake{rung: make(chan struct{}, 1)} }

func (w *wake) ring() {
	select {
	case w.rung <- struct{}{}:
	default:
	}
}

// notify passes rings on to other processes, from a connection of its own: NOTIFY inside the publishing transactions
// would make all commits of the database wait for each other.
func (w *wake) notify(ctx context.Context, db *postgres.DB, logger *slog.Logger) {
	keepConnected(ctx, db, logger, func(ctx context.Context, conn notifyConn) error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-w.rung:
				if _, err := conn.Exec(ctx, "SELECT pg_notify($1, '')", channel); err != nil {
					w.ring()
					return err
				}
			}
		}
	})
}

// Notify wakes the dispatchers of all processes at once. It is for a process that publishes and ends.
func (b *Bus) Notify(ctx context.Context, db *postgres.DB) error {
	var none string
	return db.LoginRow(ctx, "SELECT pg_notify($1, '')::text", []any{channel}, &none)
}

// listen rings when other processes do.
func (w *wake) listen(ctx context.Context, db *postgres.DB, logger *slog.Logger) {
	keepConnected(ctx, db, logger, func(ctx context.Context, conn notifyConn) error {
		if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
			return err
		}
		for {
			if _, err := conn.WaitForNotification(ctx); err != nil {
				return err
			}
			w.ring()
		}
	})
}
