package eventbus

import (
	"context"
	"log/slog"
	"time"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	// channel is what processes notify each other on of what was published, and changeChannel of what became of it, so that
	// the latter wakes no dispatcher. The payload says nothing: whoever hears it looks for himself.
	channel       = "intime_events"
	changeChannel = "intime_event_changes"
	// changePause is how long a process waits at least before it notifies others of changes again.
	changePause = 100 * time.Millisecond
	// reconnectInterval is how long a lost notification connection waits before it tries again. The dispatcher's interval,
	// and that of those who watch, cover what was missed meanwhile.
	reconnectInterval = time.Second
)

// wake tells that something was published, or that the status of events changed. Ringing never blocks, and many rings may
// become one.
type wake struct {
	rung    chan struct{} // for the dispatcher of this process, or for those of others
	touched chan struct{} // for those who watch in other processes
	live    bell          // for those who watch in this process
}

func newWake() *wake {
	return &wake{rung: make(chan struct{}, 1), touched: make(chan struct{}, 1)}
}

// ring says that there is something to dispatch.
func (w *wake) ring() {
	signal(w.rung)
	w.changed()
}

// changed says that the status of events changed; it is called after the commit.
func (w *wake) changed() {
	signal(w.touched)
	w.live.ring()
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// announce passes signals on to other processes, from a connection of its own: NOTIFY inside the publishing transactions
// would make all commits of the database wait for each other.
func announce(ctx context.Context, db *postgres.DB, logger *slog.Logger, from chan struct{}, to string, pause time.Duration) {
	keepConnected(ctx, db, logger, func(ctx context.Context, conn notifyConn) error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-from:
			}
			if _, err := conn.Exec(ctx, "SELECT pg_notify($1, '')", to); err != nil {
				signal(from)
				return err
			}
			if pause == 0 {
				continue
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pause):
			}
		}
	})
}

// Notify wakes the dispatchers of all processes at once. It is for a process that publishes and ends.
func (b *Bus) Notify(ctx context.Context, db *postgres.DB) error {
	var none string
	return db.LoginRow(ctx, "SELECT pg_notify($1, '')::text", []any{channel}, &none)
}

// listen wakes whoever waits in this process when others notify it. It passes nothing on: that would go in circles.
func (w *wake) listen(ctx context.Context, db *postgres.DB, logger *slog.Logger, dispatches bool) {
	keepConnected(ctx, db, logger, func(ctx context.Context, conn notifyConn) error {
		for _, name := range []string{changeChannel, channel} {
			if _, err := conn.Exec(ctx, "LISTEN "+name); err != nil {
				return err
			}
		}
		for {
			heard, err := conn.WaitForNotification(ctx)
			if err != nil {
				return err
			}
			if dispatches && heard.Channel == channel {
				signal(w.rung)
			}
			w.live.ring()
		}
	})
}
