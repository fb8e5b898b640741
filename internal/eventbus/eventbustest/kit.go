// Package eventbustest is for tests of who publishes events and who handles them. RequirePublished and RequireNotPublished
// look at what was published. A Kit tries handlers: the test runs what is due on its own goroutine and moves the clock
// itself, so nothing runs in the background and nothing has to be waited for. Start at New.
package eventbustest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// Kit is a bus whose handlers run when the test says so.
type Kit struct {
	// Bus has the handlers; a service under test may publish by it.
	Bus *eventbus.Bus
	// DB is the database as the workers log in.
	DB *postgres.DB
	// Admin is the database as its superuser, to arrange what a test needs and to look at what became of it.
	Admin *pgx.Conn
}

// New returns a kit on the database of the superuser's connection string, with the handlers that register adds, for example
// job.RegisterHandlers. Every organisation subscribes to them. Attempts and backoff are the program's own.
func New(t *testing.T, adminURL string, register func(bus *eventbus.Bus) error) *Kit {
	t.Helper()
	types, err := eventbus.NewCatalogue()
	require.NoError(t, err)
	bus := eventbus.New(eventbus.Config{Worker: "test/" + t.Name(), Version: "test", Logger: slog.New(slog.DiscardHandler)}, types)
	require.NoError(t, register(bus))
	require.NoError(t, bus.Validate())

	url, err := postgres.LoginURL(adminURL, postgres.LoginWorker)
	require.NoError(t, err)
	db, err := postgres.Open(t.Context(), postgres.Config{
		URL: url, ApplicationName: "intime test", MaxConns: 4, StatementTimeout: eventbus.HandlerTimeout,
	})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	require.NoError(t, bus.Register(t.Context(), db))

	admin, err := pgx.Connect(t.Context(), adminURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = admin.Close(context.WithoutCancel(t.Context())) })
	return &Kit{Bus: bus, DB: db, Admin: admin}
}

// Publish publishes the event on somebody's behalf, in a transaction of its own, and returns its id.
func (k *Kit) Publish(t *testing.T, as principal.Principal, event eventbus.Event) (id uuid.UUID) {
	t.Helper()
	err := k.DB.Tenant(principal.With(t.Context(), as), func(ctx context.Context, tx *postgres.Tx) error {
		published, err := k.Bus.Publish(ctx, tx, event, eventbus.PublishOptions{})
		id = published.ID
		return err
	})
	require.NoError(t, err)
	return id
}

// RunDue dispatches what was published and makes one attempt at each delivery that is due, also of what those attempts
// publish. It returns the attempts, in order: an attempt that failed is no failure of the test.
func (k *Kit) RunDue(t *testing.T) []eventbus.Attempted {
	t.Helper()
	made, err := k.Bus.RunDue(t.Context(), k.DB)
	require.NoError(t, err)
	return made
}

// Advance moves the bus's clock forward. The clock is the database's and cannot be set, so everything that waits for it
// comes nearer instead: retries, and the leases of attempts that never ended.
func (k *Kit) Advance(t *testing.T, by time.Duration) {
	t.Helper()
	_, err := k.Admin.Exec(t.Context(), `
		UPDATE event_deliveries SET next_attempt_at = next_attempt_at - $1::interval, lease_expires_at = lease_expires_at - $1::interval
		WHERE status IN ('pending', 'failed', 'running')`, by)
	require.NoError(t, err)
}

// Delivery is how an event stands at one handler.
type Delivery struct {
	ID           uuid.UUID
	Status       string
	AttemptCount int
	// NextIn is how long the next attempt is away; nil where none waits.
	NextIn       *time.Duration
	ErrorMessage string
	Reason       string
}

// Delivery returns how the event stands at the handler.
func (k *Kit) Delivery(t *testing.T, eventID uuid.UUID, handler string) Delivery {
	t.Helper()
	rows, err := k.Admin.Query(t.Context(), `
		SELECT id, status, attempt_count, next_attempt_at - clock_timestamp() AS next_in,
			coalesce(error_message, '') AS error_message, coalesce(reason, '') AS reason
		FROM event_deliveries WHERE event_id = $1 AND handler_name = $2`, eventID, handler)
	require.NoError(t, err)
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Delivery])
	require.NoError(t, err, "no delivery of event %s at %s", eventID, handler)
	return found
}
