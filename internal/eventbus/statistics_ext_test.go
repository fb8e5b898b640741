package eventbus_test

import (
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	byType    = eventv1.StatisticsGrouping_STATISTICS_GROUPING_TYPE
	byHandler = eventv1.StatisticsGrouping_STATISTICS_GROUPING_HANDLER
	byMinute  = eventv1.StatisticsBucket_STATISTICS_BUCKET_MINUTE
	byHour    = eventv1.StatisticsBucket_STATISTICS_BUCKET_HOUR
	byDay     = eventv1.StatisticsBucket_STATISTICS_BUCKET_DAY
)

func statistics(t *testing.T, as apptest.Clients, r *eventv1.GetEventStatisticsRequest) *eventv1.GetEventStatisticsResponse {
	t.Helper()
	response, err := as.Events.GetEventStatistics(t.Context(), r)
	require.NoError(t, err)
	return response
}

// What just happened is counted, whether the periodic job has been there or not.
func TestEventService_GetEventStatistics(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true, Change: func(c *app.Config) {
		c.Server.DailyEventsWarning = 4
	}})
	ana := env.As(t, "ana@acme.example")
	l := newLedger(t, env.AdminURL)
	l.quiet(t)
	require.False(t, statistics(t, ana, &eventv1.GetEventStatisticsRequest{}).GetNow().GetOverDailyWarning())
	for range 3 {
		ana.Await(t, publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_OK"}), processed)
	}
	ana.Await(t, publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_FAIL"}), deadLetter)
	ana.Await(t, publish(t, ana, "system.probed", probe{}), processed)

	worker, err := postgres.Open(t.Context(), postgres.Config{URL: env.Config.WorkerURL, MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(worker.Close)
	require.NoError(t, env.App.Bus().RollUp(t.Context(), worker))
	for _, counted := range []string{"by the job and for the answer", "by the job alone"} {
		for _, bucket := range []eventv1.StatisticsBucket{byMinute, byHour, byDay} {
			got := statistics(t, ana, &eventv1.GetEventStatisticsRequest{Bucket: bucket})
			require.Equal(t, bucket, got.GetBucket())
			require.Len(t, got.GetSeries(), 1)
			total := got.GetSeries()[0].GetTotal()
			require.EqualValues(t, 5, total.GetPublished(), "%s, %s", counted, bucket)
			require.EqualValues(t, 4, total.GetProcessed())
			require.EqualValues(t, 1, total.GetDeadLettered())
			require.Zero(t, total.GetUnfinished())
			require.EqualValues(t, 3, total.GetSucceeded())
			require.EqualValues(t, 3, total.GetFailedAttempts())
			require.InDelta(t, 0.5, total.GetFailureRate(), 0.001)
			require.EqualValues(t, 4, total.GetHandled().GetCount())
			require.EqualValues(t, 3, total.GetWaited().GetCount())
			require.EqualValues(t, 6, total.GetRan().GetCount(), "good runs and bad ones")
			require.Positive(t, total.GetHandled().GetP95Ms())
			require.GreaterOrEqual(t, total.GetHandled().GetP99Ms(), total.GetHandled().GetP50Ms())
			var points int64
			for _, p := range got.GetSeries()[0].GetPoints() {
				points += p.GetPublished()
			}
			require.EqualValues(t, 5, points, "the points are the total")
			require.Len(t, got.GetByType(), 2)
			require.Equal(t, "system.probe", got.GetByType()[0].GetName())
			require.EqualValues(t, 4, got.GetByType()[0].GetTotal().GetPublished())
			require.EqualValues(t, 1, got.GetByType()[1].GetTotal().GetPublished())
			require.Len(t, got.GetByHandler(), 1)
			require.Equal(t, handlerName, got.GetByHandler()[0].GetName())
			require.EqualValues(t, 4, got.GetByHandler()[0].GetTotal().GetPublished())
			require.EqualValues(t, 3, got.GetByHandler()[0].GetTotal().GetProcessed())
			require.NotNil(t, got.GetCountedUntil())
		}
		l.count(t, time.Now().Add(3*time.Minute))
	}

	now := statistics(t, ana, &eventv1.GetEventStatisticsRequest{}).GetNow()
	require.EqualValues(t, 1, now.GetDeadLetters().GetCount())
	require.False(t, now.GetDeadLetters().GetMore())
	require.Zero(t, now.GetPending().GetCount())
	require.Nil(t, now.GetOldestPendingAt())
	require.WithinDuration(t, time.Now(), now.GetLastEventAt().AsTime(), time.Minute)
	today := apptest.One[int64](t, l.admin, `
		SELECT count(*) FROM events WHERE org_id = $1 AND published_at >= date_trunc('day', now(), 'UTC')`, l.org)
	require.Equal(t, today, now.GetTodayCount())
	require.EqualValues(t, 4, now.GetDailyWarning())
	require.Equal(t, today >= 4, now.GetOverDailyWarning())

	theirs := statistics(t, env.As(t, "greta@globex.example"), &eventv1.GetEventStatisticsRequest{})
	require.Zero(t, theirs.GetSeries()[0].GetTotal().GetPublished(), "another organisation's are not counted")
	require.Empty(t, theirs.GetByType())
	require.Nil(t, theirs.GetNow().GetLastEventAt())
}

func TestEventService_GetEventStatistics_Ranges(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	l, ana := newLedger(t, env.AdminURL), env.As(t, "ana@acme.example")
	now := time.Now().UTC()
	for _, ago := range []time.Duration{5 * time.Minute, 3 * time.Hour, 3 * time.Hour, 30 * time.Hour, 5 * 24 * time.Hour} {
		l.event(t, now.Add(-ago).Truncate(time.Hour).Add(10*time.Second), "processed")
	}
	waiting := l.event(t, now.Add(-2*time.Hour), "pending")
	l.count(t, now)
	ask := func(from, until time.Duration, r *eventv1.GetEventStatisticsRequest) *eventv1.GetEventStatisticsResponse {
		r.From, r.Until = timestamppb.New(now.Add(-from)), timestamppb.New(now.Add(-until))
		return statistics(t, ana, r)
	}
	week := ask(6*24*time.Hour, 0, &eventv1.GetEventStatisticsRequest{})
	require.Equal(t, byHour, week.GetBucket())
	require.EqualValues(t, 6, week.GetSeries()[0].GetTotal().GetPublished())
	month := ask(30*24*time.Hour, 0, &eventv1.GetEventStatisticsRequest{})
	require.Equal(t, byDay, month.GetBucket())
	require.EqualValues(t, 6, month.GetSeries()[0].GetTotal().GetPublished())
	require.EqualValues(t, 1, month.GetSeries()[0].GetPoints()[0].GetPublished())
	require.Equal(t, now.Add(-5*24*time.Hour).Truncate(24*time.Hour), month.GetSeries()[0].GetPoints()[0].GetStart().AsTime())
	hours := ask(4*time.Hour, 2*time.Hour, &eventv1.GetEventStatisticsRequest{Bucket: byHour, GroupBy: byHandler})
	require.Len(t, hours.GetSeries(), 1)
	require.EqualValues(t, 3, hours.GetSeries()[0].GetTotal().GetPublished())
	require.EqualValues(t, 2, hours.GetSeries()[0].GetPoints()[0].GetSucceeded())
	minutes := ask(4*time.Hour, 2*time.Hour, &eventv1.GetEventStatisticsRequest{Bucket: byMinute, GroupBy: byType})
	require.EqualValues(t, 3, minutes.GetSeries()[0].GetTotal().GetPublished())
	require.EqualValues(t, 2, minutes.GetSeries()[0].GetPoints()[0].GetPublished())
	require.Empty(t, ask(4*time.Hour, 0, &eventv1.GetEventStatisticsRequest{Types: []string{"job.created"}}).GetByType())
	mine := ask(4*time.Hour, 0, &eventv1.GetEventStatisticsRequest{HandlerName: handlerName}).GetSeries()[0].GetTotal()
	require.EqualValues(t, 4, mine.GetPublished())
	require.EqualValues(t, 1, mine.GetUnfinished())
	require.Zero(t, ask(4*time.Hour, 0, &eventv1.GetEventStatisticsRequest{HandlerName: "nobody"}).GetSeries()[0].GetTotal().GetPublished())

	where := week.GetNow()
	require.EqualValues(t, 1, where.GetPending().GetCount())
	oldest := ana.Event(t, waiting.String()).GetPublishedAt().AsTime()
	require.WithinDuration(t, oldest, where.GetOldestPendingAt().AsTime(), time.Millisecond)

	for field, r := range map[string]*eventv1.GetEventStatisticsRequest{
		"from":   {From: timestamppb.New(now.Add(time.Hour))},
		"until":  {From: timestamppb.New(now), Until: timestamppb.New(now.Add(-time.Hour))},
		"bucket": {From: timestamppb.New(now.Add(-30 * time.Hour)), Until: timestamppb.New(now.Add(-29 * time.Hour)), Bucket: byMinute},
	} {
		_, err := ana.Events.GetEventStatistics(t.Context(), r)
		require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err), field)
		require.Contains(t, apptest.Detail(err).GetViolations()[0].GetRule(), field, err)
	}
	_, err := ana.Events.GetEventStatistics(t.Context(), &eventv1.GetEventStatisticsRequest{
		From: timestamppb.New(now.AddDate(-1, 0, 0)), Bucket: byHour,
	})
	require.Equal(t, "bucket.points", apptest.Detail(err).GetViolations()[0].GetRule())
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	l := newLedger(t, apptest.Database(t))
	require.Equal(t, apptest.One[[]float64](t, l.worker, `SELECT app.duration_bounds()`), eventbus.DurationBounds(),
		"the database and the program count in the same slots")
	histogram := func(us string) string {
		return apptest.One[string](t, l.worker, `SELECT coalesce(app.histogram(`+us+`)::text, 'none')`)
	}
	require.Equal(t, "{1,0,1,1}", histogram(`ARRAY[499, 1000, 1999]`), "below 0.5 ms, from 1 ms, from 1.5 ms")
	require.Equal(t, "none", histogram(`NULL`))
	require.Equal(t, len(eventbus.DurationBounds())+1,
		apptest.One[int](t, l.worker, `SELECT cardinality(app.histogram(ARRAY[86400001000]))`), "a day and a bit is in the last one")
}
