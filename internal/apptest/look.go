package apptest

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
)

// Exec runs a statement and returns how many rows it touched.
func Exec(t *testing.T, conn *pgx.Conn, sql string, args ...any) int64 {
	t.Helper()
	tag, err := conn.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
	return tag.RowsAffected()
}

// One returns the one value that the query finds.
func One[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return value
}

// All returns the first column of what the query finds.
func All[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) []T {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return values
}

// Event returns the event as the clients' person sees it.
func (c Clients) Event(t *testing.T, id string) *eventv1.Event {
	t.Helper()
	response, err := c.Events.GetEvent(t.Context(), &eventv1.GetEventRequest{Id: id})
	require.NoError(t, err)
	return response.GetEvent()
}

// Await waits until the event stands there, and returns it.
func (c Clients) Await(t *testing.T, id string, status eventv1.EventStatus) (event *eventv1.Event) {
	t.Helper()
	Eventually(t, func() bool {
		event = c.Event(t, id)
		return event.GetStatus() == status
	}, "event %s never became %s", id, status)
	return event
}

// Redeliver has every delivery of the event run again, as a replay would or a job that came twice.
func Redeliver(t *testing.T, conn *pgx.Conn, eventID string) {
	t.Helper()
	Exec(t, conn, `
		INSERT INTO event_attempts (org_id, event_id, handler_name, number, outcome, started_at, finished_at, worker, worker_version)
		SELECT org_id, event_id, handler_name, number, outcome, started_at, finished_at, worker, worker_version
		FROM event_attempt_history WHERE event_id = $1 AND outcome = 'succeeded'`, eventID)
	Exec(t, conn, `
		UPDATE event_deliveries SET status = 'pending', lease_token = NULL, lease_expires_at = NULL, next_attempt_at = NULL,
			finished_at = NULL WHERE event_id = $1`, eventID)
	Exec(t, conn, `UPDATE events SET status = 'pending', processed_at = NULL WHERE id = $1`, eventID)
	Requeue(t, conn, eventID)
}

// Requeue gives every delivery of the event a new job.
func Requeue(t *testing.T, conn *pgx.Conn, eventID string) {
	t.Helper()
	Exec(t, conn, `
		INSERT INTO river.river_job (kind, queue, args, max_attempts, state)
		SELECT 'event_delivery', replace(e.type, '.', '-'),
			jsonb_build_object('handler', d.handler_name, 'deliveries',
				jsonb_build_array(jsonb_build_object('org_id', d.org_id, 'event_id', d.event_id))), 1000, 'available'
		FROM event_deliveries d JOIN events e ON e.id = d.event_id WHERE d.event_id = $1`, eventID)
}

// Equal compares two messages.
func Equal(t *testing.T, want, got proto.Message) {
	t.Helper()
	require.True(t, proto.Equal(want, got), "want %s\ngot  %s", prototext.Format(want), prototext.Format(got))
}
