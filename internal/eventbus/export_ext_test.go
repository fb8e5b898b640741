package eventbus_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
)

const (
	asJSON        = eventv1.ExportFormat_EXPORT_FORMAT_JSON
	asNDJSON      = eventv1.ExportFormat_EXPORT_FORMAT_NDJSON
	asCSV         = eventv1.ExportFormat_EXPORT_FORMAT_CSV
	asCloudEvents = eventv1.ExportFormat_EXPORT_FORMAT_CLOUDEVENTS
)

// exported is a file that was exported.
type exported struct {
	header  *eventv1.ExportHeader
	content []byte
	summary *eventv1.ExportSummary
	chunks  int
}

func export(t *testing.T, as apptest.Clients, request *eventv1.ExportEventsRequest) (file exported, err error) {
	t.Helper()
	stream, err := as.Events.ExportEvents(t.Context(), request)
	require.NoError(t, err)
	defer func() { _ = stream.Close() }()
	for stream.Receive() {
		require.Nil(t, file.summary, "something comes after the summary")
		switch m := stream.Msg().GetContent().(type) {
		case *eventv1.ExportEventsResponse_Header:
			require.Nil(t, file.header)
			file.header = m.Header
		case *eventv1.ExportEventsResponse_Chunk:
			require.NotNil(t, file.header, "the header comes first")
			file.content = append(file.content, m.Chunk...)
			file.chunks++
		case *eventv1.ExportEventsResponse_Summary:
			file.summary = m.Summary
		}
	}
	return file, stream.Err()
}

// awkward stores an event with everything in it that a file may stumble over, and one that is plain and older.
func awkward(t *testing.T, admin *pgx.Conn) (odd, plain string) {
	t.Helper()
	ana, _ := demo.Find("admin")
	plain = store(t, admin, time.Now().Add(-time.Hour), "job.created", "processed")
	apptest.Exec(t, admin, `UPDATE user_profiles SET full_name = '=1+1' WHERE id = $1`, ana.ID())
	odd = apptest.One[string](t, admin, `
		INSERT INTO events (org_id, type, payload, metadata, status, retry_count, error_message, created_by, source, correlation_id,
			causation_id, depth)
		VALUES ($1, 'system.probe', '{"note": "a,\"b\"\r\nc <é>", "seq": 9007199254740993}', '{"request_id": "r"}', 'dead_letter', 3,
			E'=cmd|''/C calc''!A1, "quoted"\nsecond line', $2, 'handler', $3, $3, 1) RETURNING id::text`,
		ana.Organization.ID(), ana.ID(), plain)
	return odd, plain
}

func TestEventService_ExportEvents_CSV(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	odd, plain := awkward(t, env.Admin(t))
	file, err := export(t, env.As(t, "admin"), &eventv1.ExportEventsRequest{Format: asCSV})
	require.NoError(t, err)
	require.Equal(t, "text/csv; charset=utf-8; header=present", file.header.GetContentType())
	require.Regexp(t, `^events-\d{8}T\d{6}Z\.csv$`, file.header.GetFileName())
	require.Equal(t, int32(2), file.summary.GetRowCount())
	require.False(t, file.summary.GetTruncated())
	require.True(t, bytes.HasSuffix(file.content, []byte("\r\n")))
	rows, err := csv.NewReader(bytes.NewReader(file.content)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{
		"id", "type", "status", "published_at", "processed_at", "retry_count", "error_message", "created_by", "created_by_name",
		"source", "correlation_id", "causation_id", "depth", "schema_version", "payload", "metadata",
	}, rows[0])
	require.Len(t, rows, 3)
	row := map[string]string{}
	for i, name := range rows[0] {
		row[name] = rows[1][i]
	}
	_, err = time.Parse(time.RFC3339Nano, row["published_at"])
	require.NoError(t, err)
	delete(row, "published_at")
	ana, _ := demo.Find("admin")
	require.Equal(t, map[string]string{
		"id": odd, "type": "system.probe", "status": "dead_letter", "processed_at": "", "retry_count": "3",
		"error_message": "'=cmd|'/C calc'!A1, \"quoted\"\nsecond line", "created_by": ana.ID().String(), "created_by_name": "'=1+1",
		"source": "handler", "correlation_id": plain, "causation_id": plain, "depth": "1", "schema_version": "1",
		"payload": `{"seq": 9007199254740993, "note": "a,\"b\"\r\nc <é>"}`, "metadata": `{"request_id": "r"}`,
	}, row)
	require.Equal(t, plain, rows[2][0])

	empty, err := export(t, env.As(t, greta), &eventv1.ExportEventsRequest{Format: asCSV})
	require.NoError(t, err)
	require.Equal(t, strings.Join(rows[0], ",")+"\r\n", string(empty.content))
	require.Zero(t, empty.summary.GetRowCount())
}

func TestEventService_ExportEvents_JSON(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	odd, plain := awkward(t, env.Admin(t))
	ana, greta := env.As(t, "admin"), env.As(t, greta)
	type row = map[string]any
	decode := func(data []byte, into any) {
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		require.NoError(t, decoder.Decode(into), "%s", data)
	}
	var rows []row
	file, err := export(t, ana, &eventv1.ExportEventsRequest{Format: asJSON})
	require.NoError(t, err)
	require.Equal(t, "application/json", file.header.GetContentType())
	decode(file.content, &rows)
	require.Len(t, rows, 2)
	require.Equal(t, odd, rows[0]["id"])
	require.Equal(t, row{"note": "a,\"b\"\r\nc <é>", "seq": json.Number("9007199254740993")}, rows[0]["payload"])
	require.Equal(t, "=cmd|'/C calc'!A1, \"quoted\"\nsecond line", rows[0]["error_message"], "JSON runs in no spreadsheet")
	require.Nil(t, rows[0]["processed_at"])
	require.Contains(t, rows[0], "processed_at")
	require.Equal(t, plain, rows[1]["id"])

	lines, err := export(t, ana, &eventv1.ExportEventsRequest{Format: asNDJSON})
	require.NoError(t, err)
	require.Equal(t, "application/x-ndjson", lines.header.GetContentType())
	split := strings.Split(strings.TrimSuffix(string(lines.content), "\n"), "\n")
	require.Len(t, split, 2)
	for i, line := range split {
		var one row
		decode([]byte(line), &one)
		require.Equal(t, rows[i], one)
	}

	var events []row
	batch, err := export(t, ana, &eventv1.ExportEventsRequest{Format: asCloudEvents})
	require.NoError(t, err)
	require.Equal(t, "application/cloudevents-batch+json; charset=utf-8", batch.header.GetContentType())
	decode(batch.content, &events)
	person, _ := demo.Find("admin")
	require.Equal(t, row{
		"specversion": "1.0", "id": odd, "source": "urn:intime:organization:" + person.Organization.ID().String(),
		"type": "system.probe", "time": rows[0]["published_at"], "datacontenttype": "application/json",
		"correlationid": plain, "causationid": plain, "schemaversion": json.Number("1"), "data": rows[0]["payload"],
	}, events[0])
	require.NotContains(t, events[1], "causationid")

	for format, want := range map[eventv1.ExportFormat]string{asJSON: "[]", asNDJSON: "", asCloudEvents: "[]"} {
		file, err := export(t, greta, &eventv1.ExportEventsRequest{Format: format})
		require.NoError(t, err)
		require.Equal(t, want, strings.ReplaceAll(string(file.content), "\n", ""))
	}
}

func TestEventService_ExportEvents_Filters(t *testing.T) { //nolint:tparallel // each looks at the newest row of the audit log
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, ana := env.Admin(t), env.As(t, "admin")
	start := time.Now().Add(-time.Hour).Truncate(time.Microsecond)
	a := store(t, admin, start, "job.created", "failed", "notify_matching_candidates")
	b := store(t, admin, start.Add(time.Minute), "system.probe", "processed", "run_probe")
	c := store(t, admin, start.Add(2*time.Minute), "system.probe", "failed", "run_probe")
	minute := start.Add(time.Minute)
	noted := minute.UTC().Format(time.RFC3339Nano)
	type r = eventv1.ExportEventsRequest
	for name, x := range map[string]struct {
		request *r
		want    []string
		noted   string
	}{
		"None":     {&r{}, []string{c, b, a}, `{}`},
		"Types":    {&r{Types: []string{"job.created"}}, []string{a}, `{"types": ["job.created"]}`},
		"Statuses": {&r{Statuses: []eventv1.EventStatus{failed}}, []string{c, a}, `{"statuses": ["failed"]}`},
		"Handler":  {&r{HandlerName: "run_probe"}, []string{c, b}, `{"handler_name": "run_probe"}`},
		"After":    {&r{PublishedAfter: timestamppb.New(minute)}, []string{c, b}, `{"published_after": "` + noted + `"}`},
		"Before":   {&r{PublishedBefore: timestamppb.New(minute)}, []string{a}, `{"published_before": "` + noted + `"}`},
		"ID":       {&r{Id: b}, []string{b}, `{"id": "` + b + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			x.request.Format = asNDJSON
			file, err := export(t, ana, x.request)
			require.NoError(t, err)
			var got []string
			for line := range strings.Lines(string(file.content)) {
				var e struct {
					ID string `json:"id"`
				}
				require.NoError(t, json.Unmarshal([]byte(line), &e))
				got = append(got, e.ID)
			}
			require.Equal(t, x.want, got)
			require.Len(t, x.want, int(file.summary.GetRowCount()))
			noted := apptest.One[string](t, admin, `SELECT (new_values -> 'filter')::text FROM audit_logs
				WHERE action = 'event.exported' ORDER BY id DESC LIMIT 1`)
			require.Equal(t, x.noted, noted)
		})
	}
	other, err := export(t, env.As(t, greta), &r{Format: asNDJSON, Id: b})
	require.NoError(t, err)
	require.Empty(t, other.content)
}

// The audit log says who exported what and how much, and that the file was cut.
func TestEventService_ExportEvents_CutAndAudited(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin := env.Admin(t)
	ana, _ := demo.Find("admin")
	apptest.Exec(t, admin, `
		INSERT INTO events (org_id, type, payload, created_by, source, correlation_id)
		SELECT $1, 'system.probe', jsonb_build_object('note', repeat('x', 500)), $2, 'sql', gen_random_uuid()
		FROM generate_series(1, 1001)`,
		ana.Organization.ID(), ana.ID())
	file, err := export(t, env.As(t, "admin"), &eventv1.ExportEventsRequest{Format: asNDJSON, Types: []string{"system.probe"}})
	require.NoError(t, err)
	require.Equal(t, 1000, bytes.Count(file.content, []byte("\n")))
	require.Equal(t, int32(1000), file.summary.GetRowCount())
	require.True(t, file.summary.GetTruncated())
	require.Greater(t, file.chunks, 3)

	type row struct {
		OrgID     uuid.UUID
		ActorID   uuid.UUID
		Kind      string
		Table     string
		NewValues string
		Request   bool
	}
	rows, err := admin.Query(t.Context(), `
		SELECT org_id, actor_id, actor_kind, table_name, new_values::text, request_id <> ''
		FROM audit_logs WHERE action = 'event.exported'`)
	require.NoError(t, err)
	noted, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[row])
	require.NoError(t, err)
	require.Equal(t, row{
		OrgID: ana.Organization.ID(), ActorID: ana.ID(), Kind: "user", Table: "events", Request: true,
		NewValues: `{"rows": 1000, "filter": {"types": ["system.probe"]}, "format": "ndjson", "truncated": true}`,
	}, noted)
}

func TestEventService_ExportEvents_Refuses(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana := env.As(t, "admin")
	type r = eventv1.ExportEventsRequest
	for name, c := range map[string]struct {
		request *r
		field   string
	}{
		"NoFormat":      {&r{}, "format"},
		"UnknownFormat": {&r{Format: 9}, "format"},
		"NoID":          {&r{Format: asCSV, Id: "x"}, "id"},
		"EmptyType":     {&r{Format: asCSV, Types: []string{""}}, "types[0]"},
		"51Types":       {&r{Format: asCSV, Types: slices.Repeat([]string{"x"}, 51)}, "types"},
		"NoStatus":      {&r{Format: asCSV, Statuses: []eventv1.EventStatus{0}}, "statuses[0]"},
		"LongHandler":   {&r{Format: asCSV, HandlerName: strings.Repeat("x", 101)}, "handler_name"},
		"NotATime":      {&r{Format: asCSV, PublishedAfter: &timestamppb.Timestamp{Seconds: 1 << 62}}, "published_after"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := export(t, ana, c.request)
			require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err), "%v", err)
			require.Len(t, apptest.Detail(err).GetViolations(), 1)
			require.Equal(t, c.field, apptest.Detail(err).GetViolations()[0].GetField())
		})
	}
	_, err := export(t, env.As(t, "recruiter"), &r{Format: asCSV})
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
}
