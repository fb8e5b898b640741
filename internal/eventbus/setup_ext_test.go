package eventbus_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	systemv1 "github.com/intime-solutions/intime/gen/go/intime/system/v1"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

func TestMain(m *testing.M) { apptest.Main(m) }

const (
	pending    = eventv1.EventStatus_EVENT_STATUS_PENDING
	processed  = eventv1.EventStatus_EVENT_STATUS_PROCESSED
	failed     = eventv1.EventStatus_EVENT_STATUS_FAILED
	deadLetter = eventv1.EventStatus_EVENT_STATUS_DEAD_LETTER
)

type (
	probe  = map[string]any
	probed = eventbus.Delivery[*systemv1.SystemProbed]
	// probedHandlers are handlers of system.probed, by name.
	probedHandlers = map[string]func(context.Context, *postgres.Tx, probed) error
)

// publish publishes an event through the API.
func publish(t *testing.T, as apptest.Clients, eventType string, payload map[string]any) string {
	t.Helper()
	response, err := as.Events.PublishEvent(t.Context(), request(t, eventType, payload))
	require.NoError(t, err)
	return response.GetId()
}

func request(t *testing.T, eventType string, payload map[string]any) *eventv1.PublishEventRequest {
	t.Helper()
	encoded, err := structpb.NewStruct(payload)
	require.NoError(t, err)
	return &eventv1.PublishEventRequest{Type: eventType, Payload: encoded}
}

// testBundle is a database whose only handlers are the test's own.
type testBundle struct {
	admin  *pgx.Conn
	worker *postgres.DB
	url    string
	person principal.Principal
	idle   *eventbus.Bus // publishes, and runs nothing
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	ana, ok := demo.Find("admin")
	require.True(t, ok)
	b := &testBundle{url: apptest.Database(t), person: principal.Principal{UserID: ana.ID(), OrgID: ana.Organization.ID()}}
	b.admin = apptest.Connect(t, b.url)
	apptest.Exec(t, b.admin, `DELETE FROM event_subscriptions`)
	apptest.Exec(t, b.admin, `DELETE FROM app.event_handlers`)
	b.worker = b.open(t, postgres.LoginWorker)
	b.idle = newBus(t, eventbus.Config{}, nil)
	return b
}

func (b *testBundle) open(t *testing.T, login postgres.Login) *postgres.DB {
	t.Helper()
	url, err := postgres.LoginURL(b.url, login)
	require.NoError(t, err)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url, MaxConns: 20})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

// newBus returns a bus that tries again at once, with the handlers that register adds.
func newBus(t *testing.T, config eventbus.Config, register func(bus *eventbus.Bus)) *eventbus.Bus {
	t.Helper()
	types, err := eventbus.NewCatalogue()
	require.NoError(t, err)
	config.Logger = slog.New(slog.DiscardHandler)
	if config.Backoff == nil {
		config.Backoff = func(int) time.Duration { return time.Millisecond }
	}
	if config.DispatchInterval == 0 {
		config.DispatchInterval = 20 * time.Millisecond
	}
	if config.Worker == "" {
		config.Worker = "worker/" + uuid.NewString()
	}
	bus := eventbus.New(config, types)
	if register != nil {
		register(bus)
	}
	require.NoError(t, bus.Validate())
	return bus
}

// run runs the bus until the test ends or stop is called.
func (b *testBundle) run(t *testing.T, bus *eventbus.Bus) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- bus.Run(ctx, b.worker) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

// start runs a bus with one handler of system.probed and waits until every organisation subscribes.
func (b *testBundle) start(t *testing.T, config eventbus.Config, handlers probedHandlers) (stop func()) {
	t.Helper()
	stop = b.run(t, newBus(t, config, func(bus *eventbus.Bus) {
		for name, handle := range handlers {
			eventbus.Handle(bus, name, handle, eventbus.HandlerOptions{})
		}
	}))
	b.subscribed(t, len(handlers))
	return stop
}

func (b *testBundle) subscribed(t *testing.T, handlers int) {
	t.Helper()
	apptest.Eventually(t, func() bool {
		return apptest.One[int](t, b.admin, `SELECT count(*)::int FROM event_subscriptions WHERE org_id = $1`, b.person.OrgID) == handlers
	}, "the handlers were not registered")
}

// publish publishes events as Ana, each in a transaction of its own, from a process that runs nothing.
func (b *testBundle) publish(t *testing.T, events ...eventbus.Event) []uuid.UUID {
	t.Helper()
	var ids []uuid.UUID
	for _, event := range events {
		err := b.worker.Tenant(principal.With(t.Context(), b.person), func(ctx context.Context, tx *postgres.Tx) error {
			published, err := b.idle.Publish(ctx, tx, event, eventbus.PublishOptions{})
			ids = append(ids, published.ID)
			return err
		})
		require.NoError(t, err)
	}
	return ids
}

// storedEvent and storedDelivery are rows as the tests compare them.
type storedEvent struct {
	Status       string
	RetryCount   int
	ErrorMessage string
}

type storedDelivery struct {
	Status       string
	AttemptCount int
	Outcomes     string // of the attempts, in order
	Reason       string
}

func (b *testBundle) event(t *testing.T, id uuid.UUID) storedEvent {
	t.Helper()
	rows, err := b.admin.Query(t.Context(),
		`SELECT status, retry_count, coalesce(error_message, '') AS error_message FROM events WHERE id = $1`, id)
	require.NoError(t, err)
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[storedEvent])
	require.NoError(t, err)
	return found
}

func (b *testBundle) delivery(t *testing.T, id uuid.UUID, handler string) storedDelivery {
	t.Helper()
	rows, err := b.admin.Query(t.Context(), `
		SELECT d.status, d.attempt_count, coalesce(d.reason, '') AS reason, coalesce((
			SELECT string_agg(a.outcome, ',' ORDER BY a.number) FROM event_attempt_history a
			WHERE a.event_id = d.event_id AND a.handler_name = d.handler_name), '') AS outcomes
		FROM event_deliveries d WHERE d.event_id = $1 AND d.handler_name = $2`, id, handler)
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[storedDelivery])
	require.NoError(t, err)
	if len(found) == 0 {
		return storedDelivery{}
	}
	return found[0]
}

// await waits until the event stands there.
func (b *testBundle) await(t *testing.T, id uuid.UUID, status string) {
	t.Helper()
	apptest.Eventually(t, func() bool { return b.event(t, id).Status == status }, "the event did not become %s", status)
}
