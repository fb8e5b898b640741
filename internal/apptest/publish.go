package apptest

import (
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/demo"
)

// PublishAs publishes an event as a demo person, by address or role, with his rights and no others, and returns its id.
func PublishAs(t *testing.T, conn *pgx.Conn, person, eventType string, payload map[string]any) (id string) {
	t.Helper()
	p, ok := demo.Find(person)
	require.True(t, ok, "there is no demo person %s", person)
	data, err := json.Marshal(payload)
	require.NoError(t, err)
	require.NoError(t, pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `SELECT set_config('request.jwt.claims', $1, true), set_config('role', 'authenticated', true)`,
			`{"role":"authenticated","sub":"`+p.ID().String()+`"}`)
		require.NoError(t, err)
		return tx.QueryRow(t.Context(), `SELECT publish_event($1, $2)`, eventType, data).Scan(&id)
	}))
	return id
}

// Handled waits until every delivery of the event has succeeded.
func Handled(t *testing.T, conn *pgx.Conn, eventID string) {
	t.Helper()
	Eventually(t, func() bool {
		return One[bool](t, conn, `
			SELECT count(*) > 0 AND bool_and(status = 'succeeded') FROM event_deliveries WHERE event_id = $1`, eventID)
	}, "event %s was not handled", eventID)
}

// Rerun has every delivery of the event run once more, and waits until they have.
func Rerun(t *testing.T, conn *pgx.Conn, eventID string) {
	t.Helper()
	const runs = `SELECT min(run_count) FROM event_deliveries WHERE event_id = $1`
	before := One[int](t, conn, runs, eventID)
	Redeliver(t, conn, eventID)
	Eventually(t, func() bool { return One[int](t, conn, runs, eventID) > before }, "event %s did not run again", eventID)
	Handled(t, conn, eventID)
}
