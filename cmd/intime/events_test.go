package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

func publishProbe(t *testing.T, as apptest.Clients, payload map[string]any) string {
	t.Helper()
	encoded, err := structpb.NewStruct(payload)
	require.NoError(t, err)
	response, err := as.Events.PublishEvent(t.Context(), &eventv1.PublishEventRequest{Type: "system.probe", Payload: encoded})
	require.NoError(t, err)
	return response.GetId()
}

// tail starts to follow, and waits until that has begun: an event published before would not be printed.
func tail(t *testing.T, env *apptest.Env, url string, args ...string) *program {
	t.Helper()
	p := launch(t, env, "admin", url, append([]string{"events", "tail"}, args...)...)
	ana := env.As(t, "admin")
	apptest.Eventually(t, func() bool {
		publishProbe(t, ana, map[string]any{"action": 1})
		return strings.Contains(p.out.String(), "system.probe")
	}, "nothing was ever printed")
	return p
}

func TestEventsTail(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true})
	ana := env.As(t, "admin")
	table, lines, cells := tail(t, env, env.URL), tail(t, env, env.URL, "-o", "json"), tail(t, env, env.URL, "-o", "csv")
	failing := launch(t, env, "admin", env.URL, "events", "tail", "--status", "dead_letter", "--type", "system.probe")
	failing.out.await(t, "ID ")

	id := publishProbe(t, ana, map[string]any{"action": 8})
	ana.Await(t, id, eventv1.EventStatus_EVENT_STATUS_DEAD_LETTER)
	for _, p := range []*program{table, lines, cells} {
		p.out.await(t, id)
	}
	apptest.Eventually(t, func() bool {
		for line := range strings.Lines(table.out.String()) {
			if f := strings.Fields(line); len(f) > 4 && f[0] == id && f[3] == "system.probe" && f[4] == "dead_letter" {
				return true
			}
		}
		return false
	}, "the table does not say how it ended")
	require.True(t, strings.HasPrefix(table.out.String(), "ID "))

	lines.out.await(t, "EVENT_STATUS_DEAD_LETTER")
	for line := range strings.Lines(lines.out.String()) {
		require.NoError(t, protojson.Unmarshal([]byte(line), &eventv1.Event{}), "%q is not an event on a line", line)
	}
	cells.out.await(t, "dead_letter")
	rows, err := csv.NewReader(strings.NewReader(cells.out.String())).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"id", "published_utc", "type", "status", "error"}, rows[0])

	require.NoError(t, table.Process.Signal(syscall.SIGINT))
	require.NoError(t, table.Wait(), "to interrupt it is to have seen enough")
}

// A connection that is lost is made again, and nothing that happened meanwhile is missing or printed twice.
func TestEventsTail_LostConnection(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana := env.As(t, "admin")
	connection := newWire(t, env)
	p := tail(t, env, connection.url, "-o", "json")
	var ids []string
	for range 3 {
		connection.set(true)
		p.err.await(t, "the connection was lost")
		id := publishProbe(t, ana, map[string]any{"action": 1})
		connection.set(false)
		p.out.await(t, id)
		ids = append(ids, id)
	}
	for _, id := range ids {
		require.Equal(t, 1, strings.Count(p.out.String(), `{"id":"`+id+`"`), "%s", p.out)
	}
	env.Stop()
	p.err.await(t, "restarting")
}

func TestEventsTail_Refused(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	_, stderr, code := runToEnd(t, env, "recruiter", "events", "tail")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "event:read")
	_, stderr, code = runToEnd(t, env, "admin", "events", "tail", "--url", "http://127.0.0.1:1")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "refused")
	_, stderr, code = runToEnd(t, env, "admin", "events", "tail", "--status", "lost")
	require.NotZero(t, code)
	require.Contains(t, stderr, "--status")
}

func TestEventsExport(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana := env.As(t, "admin")
	first, second := publishProbe(t, ana, map[string]any{"action": 1}), publishProbe(t, ana, map[string]any{"action": 1, "note": "=1"})

	out, stderr, code := runToEnd(t, env, "admin", "events", "export")
	require.Zero(t, code, stderr)
	require.Equal(t, "2 events exported.\n", stderr)
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"id", second, first}, []string{rows[0][0], rows[1][0], rows[2][0]})

	file := filepath.Join(t.TempDir(), "events.json")
	out, stderr, code = runToEnd(t, env, "admin", "events", "export", "--format", "cloudevents", "-f", file, "--id", first)
	require.Zero(t, code, stderr)
	require.Empty(t, out)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var events []map[string]any
	require.NoError(t, json.Unmarshal(data, &events))
	require.Len(t, events, 1)
	require.Equal(t, first, events[0]["id"])
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "what was exported is nobody else's business")

	for _, format := range []string{"json", "ndjson"} {
		out, _, code = runToEnd(t, env, "admin", "events", "export", "--format", format, "--before", "2001-01-01T00:00:00Z")
		require.Zero(t, code)
		require.NotContains(t, out, first)
	}
	// What fails leaves no file, and not half of one.
	none := filepath.Join(t.TempDir(), "none.csv")
	_, stderr, code = runToEnd(t, env, "recruiter", "events", "export", "-f", none)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "event:export")
	entries, err := os.ReadDir(filepath.Dir(none))
	require.NoError(t, err)
	require.Empty(t, entries)
}

// Every list can be had as a table, as JSON and as CSV.
func TestOutput(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true})
	ana := env.As(t, "admin")
	id := publishProbe(t, ana, map[string]any{"action": 8})
	ana.Await(t, id, eventv1.EventStatus_EVENT_STATUS_DEAD_LETTER)
	for name, c := range map[string]struct {
		args           []string
		header, column string
	}{
		"EventsList":   {[]string{"events", "list"}, "id,published_utc,type,status,error", id},
		"EventsShow":   {[]string{"events", "show", id}, "handler,attempts,status,reason", "run_probe"},
		"HandlersList": {[]string{"handlers", "list"}, "handler,event_type,state,failed,in_a_row,why", "run_probe"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, stderr, code := runToEnd(t, env, "admin", append(c.args, "-o", "csv")...)
			require.Zero(t, code, stderr)
			rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
			require.NoError(t, err)
			require.Equal(t, strings.Split(c.header, ","), rows[0])
			var column []string
			for _, row := range rows[1:] {
				column = append(column, row[0])
			}
			require.Contains(t, column, c.column)

			out, _, code = runToEnd(t, env, "admin", append(c.args, "-o", "json")...)
			require.Zero(t, code)
			require.True(t, json.Valid([]byte(out)))
			out, _, code = runToEnd(t, env, "admin", c.args...)
			require.Zero(t, code)
			require.Contains(t, out, c.column)
			require.NotContains(t, out, `"`+c.column)
		})
	}
}
