package eventbus_test

import (
	"fmt"
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

// store writes an event as it might stand, and returns its id. Its id and its time are those of at.
func store(t *testing.T, admin *pgx.Conn, at time.Time, eventType, status string, more ...string) string {
	t.Helper()
	handler, correlation := "", ""
	if len(more) > 0 {
		handler = more[0]
	}
	if len(more) > 1 {
		correlation = more[1]
	}
	ana, _ := demo.Find("admin")
	id := apptest.One[string](t, admin, `
		WITH made AS (SELECT overlay(app.uuid_v7_floor($1)::text PLACING substr(gen_random_uuid()::text, 20) FROM 20)::uuid AS id)
		INSERT INTO events (id, org_id, type, status, payload, published_at, created_by, source, correlation_id)
		SELECT id, $2, $3, $4, '{}', $1, $5, 'api', coalesce(nullif($6, '')::uuid, id) FROM made RETURNING id::text`,
		at, ana.Organization.ID(), eventType, status, ana.ID(), correlation)
	if handler != "" {
		apptest.Exec(t, admin, `
			INSERT INTO event_deliveries (event_id, handler_name, org_id, max_attempts) SELECT id, $2, org_id, 3 FROM events WHERE id = $1`,
			id, handler)
	}
	return id
}

func idsOf(events []*eventv1.Event) []string {
	var all []string
	for _, event := range events {
		all = append(all, event.GetId())
	}
	return all
}

func TestEventService_ListEvents_Filters(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, ana := env.Admin(t), env.As(t, "admin")
	start := time.Now().Add(-time.Hour).Truncate(time.Microsecond)
	at := func(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }
	correlation := uuid.NewString()
	names := map[string]string{}
	for minute, e := range [][]string{
		{"a", "job.created", "processed", "notify_matching_candidates"},
		{"b", "job.created", "failed", "notify_matching_candidates"},
		{"c", "job.created", "dead_letter", "another"},
		{"d", "system.probe", "pending", "run_probe", correlation},
		{"e", "system.probe", "processed", "run_probe", correlation},
		{"f", "system.probed", "processed"},
		{"g", "system.probe", "dead_letter", "run_probe"},
	} {
		names[store(t, admin, at(minute), e[1], e[2], e[3:]...)] = e[0]
	}
	idOf := func(name string) string {
		for id, n := range names {
			if n == name {
				return id
			}
		}
		return ""
	}
	type r = eventv1.ListEventsRequest
	status := func(statuses ...eventv1.EventStatus) []eventv1.EventStatus { return statuses }
	for name, c := range map[string]struct {
		request *r
		want    string
	}{
		"None":           {&r{}, "gfedcba"},
		"OneType":        {&r{Types: []string{"job.created"}}, "cba"},
		"TwoTypes":       {&r{Types: []string{"system.probed", "job.created"}}, "fcba"},
		"TypeTwice":      {&r{Types: []string{"job.created", "system.probed", "job.created"}}, "fcba"},
		"UnknownType":    {&r{Types: []string{"no.such"}}, ""},
		"OneStatus":      {&r{Statuses: status(processed)}, "fea"},
		"TwoStatuses":    {&r{Statuses: status(pending, deadLetter)}, "gdc"},
		"AllStatuses":    {&r{Statuses: status(pending, processed, failed, deadLetter)}, "gfedcba"},
		"StatusTwice":    {&r{Statuses: status(failed, failed)}, "b"},
		"TypesAndStates": {&r{Types: []string{"system.probe", "job.created"}, Statuses: status(deadLetter, processed)}, "geca"},
		"Handler":        {&r{HandlerName: "run_probe"}, "ged"},
		"NoSuchHandler":  {&r{HandlerName: "run"}, ""},
		"HandlerAndType": {&r{HandlerName: "notify_matching_candidates", Types: []string{"job.created"}, Statuses: status(failed)}, "b"},
		"After":          {&r{PublishedAfter: timestamppb.New(at(4))}, "gfe"},
		"Before":         {&r{PublishedBefore: timestamppb.New(at(2))}, "ba"},
		"Between":        {&r{PublishedAfter: timestamppb.New(at(1)), PublishedBefore: timestamppb.New(at(4))}, "dcb"},
		"Nowhen":         {&r{PublishedAfter: timestamppb.New(at(4)), PublishedBefore: timestamppb.New(at(4))}, ""},
		"LongAgo":        {&r{PublishedBefore: timestamppb.New(time.Unix(0, 0))}, ""},
		"ByID":           {&r{Id: idOf("b")}, "b"},
		"ByIDInUpper":    {&r{Id: strings.ToUpper(idOf("b"))}, "b"},
		"ByCorrelation":  {&r{Id: correlation}, "ed"},
		"ByNoID":         {&r{Id: uuid.NewString()}, ""},
		"Everything": {&r{
			Id: correlation, Types: []string{"system.probe"}, Statuses: status(processed, pending), HandlerName: "run_probe",
			PublishedAfter: timestamppb.New(at(4)), PublishedBefore: timestamppb.New(at(5)),
		}, "e"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := ana.Events.ListEvents(t.Context(), c.request)
			require.NoError(t, err)
			var got []string
			for _, id := range idsOf(list.GetEvents()) {
				got = append(got, names[id])
			}
			require.Equal(t, c.want, strings.Join(got, ""))
			require.Empty(t, list.GetNextPageToken())
		})
	}
	t.Run("OtherOrganisation", func(t *testing.T) {
		t.Parallel()
		list, err := env.As(t, "greta@globex.example").Events.ListEvents(t.Context(), &r{})
		require.NoError(t, err)
		require.Empty(t, list.GetEvents())
	})
}

// An event is found by its own time: "at this time or later" holds it, "before this time" does not.
func TestEventService_ListEvents_ByItsOwnTime(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana := env.As(t, "admin")
	for i := range 20 {
		id := publish(t, ana, "system.probe", probe{"action": 1, "seq": i})
		at := ana.Event(t, id).GetPublishedAt()
		after, err := ana.Events.ListEvents(t.Context(), &eventv1.ListEventsRequest{PublishedAfter: at})
		require.NoError(t, err)
		require.Equal(t, []string{id}, idsOf(after.GetEvents()))
		before, err := ana.Events.ListEvents(t.Context(), &eventv1.ListEventsRequest{PublishedBefore: at, PageSize: 100})
		require.NoError(t, err)
		require.Len(t, before.GetEvents(), i)
		require.NotContains(t, idsOf(before.GetEvents()), id)
	}
}

func TestEventService_ListEvents_Pages(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, ana := env.Admin(t), env.As(t, "admin")
	start := time.Now().Add(-time.Hour)
	types, statuses := []string{"job.created", "system.probe", "system.probed"}, []string{"pending", "processed", "failed", "dead_letter"}
	var newestFirst []string
	for i := range 60 {
		newestFirst = append(newestFirst, store(t, admin, start.Add(time.Duration(i)*time.Second), types[i%3], statuses[i%4]))
	}
	slices.Reverse(newestFirst)
	all := []eventv1.EventStatus{pending, processed, failed, deadLetter}
	for name, request := range map[string]*eventv1.ListEventsRequest{
		"OneWalk":         {},
		"AWalkPerType":    {Types: types},
		"AWalkPerStatus":  {Statuses: all},
		"AWalkForEach":    {Types: types, Statuses: all},
		"WithinSomeHours": {Types: types, PublishedAfter: timestamppb.New(start.Add(-time.Hour)), PublishedBefore: timestamppb.Now()},
	} {
		for _, size := range []int32{1, 7, 59, 60, 100} {
			var walked []string
			request.PageSize, request.PageToken = size, ""
			for {
				list, err := ana.Events.ListEvents(t.Context(), request)
				require.NoError(t, err)
				walked = append(walked, idsOf(list.GetEvents())...)
				require.LessOrEqual(t, len(walked), len(newestFirst), "%s goes in circles", name)
				if size == 7 {
					// What is published meanwhile is newer than every page to come.
					store(t, admin, time.Now().Add(-time.Minute), "system.probe", "pending")
				}
				if request.PageToken = list.GetNextPageToken(); request.PageToken == "" {
					break
				}
			}
			require.Equal(t, newestFirst, walked, "%s in pages of %d", name, size)
			apptest.Exec(t, admin, `DELETE FROM events WHERE published_at > now() - interval '2 minutes'`)
		}
	}
}

func TestEventService_ListEvents_Refuses(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana := env.As(t, "admin")
	for range 2 {
		publish(t, ana, "system.probe", probe{"action": 1})
	}
	first, err := ana.Events.ListEvents(t.Context(), &eventv1.ListEventsRequest{PageSize: 1})
	require.NoError(t, err)
	type r = eventv1.ListEventsRequest
	for name, c := range map[string]struct {
		request *r
		field   string
	}{
		"TokenOfOtherFilters": {&r{PageToken: first.GetNextPageToken(), Types: []string{"job.created"}}, "page_token"},
		"TokenOfNoList":       {&r{PageToken: "x"}, "page_token"},
		"PageOf101":           {&r{PageSize: 101}, "page_size"},
		"PageOfMinus1":        {&r{PageSize: -1}, "page_size"},
		"NoID":                {&r{Id: "x"}, "id"},
		"EmptyType":           {&r{Types: []string{""}}, "types[0]"},
		"51Types":             {&r{Types: slices.Repeat([]string{"x"}, 51)}, "types"},
		"NoStatus":            {&r{Statuses: []eventv1.EventStatus{0}}, "statuses[0]"},
		"UnknownStatus":       {&r{Statuses: []eventv1.EventStatus{9}}, "statuses[0]"},
		"FiveStatuses":        {&r{Statuses: []eventv1.EventStatus{1, 2, 3, 4, 1}}, "statuses"},
		"LongHandler":         {&r{HandlerName: strings.Repeat("x", 101)}, "handler_name"},
		"NotATime":            {&r{PublishedAfter: &timestamppb.Timestamp{Seconds: -1 << 62}}, "published_after"},
		"NotATimeEither":      {&r{PublishedBefore: &timestamppb.Timestamp{Seconds: 1 << 62}}, "published_before"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ana.Events.ListEvents(t.Context(), c.request)
			require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err), "%v", err)
			require.Len(t, apptest.Detail(err).GetViolations(), 1)
			require.Equal(t, c.field, apptest.Detail(err).GetViolations()[0].GetField())
		})
	}
}

func TestEventService_OnlyAdmins(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	id := publish(t, env.As(t, "admin"), "system.probe", probe{"action": 1})
	for _, role := range []string{"recruiter", "bench_sales", "trainer", "hr_manager", "student", "employee", "candidate", "client"} {
		events := env.As(t, role).Events
		_, list := events.ListEvents(t.Context(), &eventv1.ListEventsRequest{})
		_, get := events.GetEvent(t.Context(), &eventv1.GetEventRequest{Id: id})
		_, types := events.ListEventTypes(t.Context(), &eventv1.ListEventTypesRequest{})
		for _, err := range []error{list, get, types} {
			require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err), "%s", role)
		}
	}
}

func TestEventService_ListEventTypes(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	list, err := env.As(t, "admin").Events.ListEventTypes(t.Context(), &eventv1.ListEventTypesRequest{})
	require.NoError(t, err)
	var got []string
	for _, info := range list.GetEventTypes() {
		got = append(got, fmt.Sprintf("%s %d %s %v",
			info.GetName(), info.GetSchemaVersion(), info.GetMessageName(), info.GetHandlerNames()))
	}
	require.Subset(t, got, []string{
		"job.created 1 intime.job.v1.JobCreated [notify_matching_candidates]",
		"system.probe 1 intime.system.v1.SystemProbe [run_probe]",
		"system.probed 1 intime.system.v1.SystemProbed []",
	})
	require.True(t, slices.IsSorted(got))
}
