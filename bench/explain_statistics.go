package main

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
)

// What the statistics are asked for needs errors, a cascade and the roll-ups themselves.
const (
	explainAttempts = `
		INSERT INTO public.event_attempts (org_id, event_id, handler_name, number, outcome, started_at, finished_at, error_message)
		SELECT d.org_id, d.event_id, d.handler_name, n, 'failed', d.started_at + n * interval '1 second',
			d.started_at + n * interval '1 second' + interval '40 ms',
			(ARRAY['connection to 10.0.0.', 'no row with id ', 'timeout after '])[1 + abs(hashtext(d.event_id::text)) % 3] || n
		FROM public.event_deliveries d, generate_series(1, d.attempt_count) AS n
		WHERE d.status IN ('failed', 'dead_letter')`
	// A thousand events that one of the newest of the first organisation led to: the one that newestEvent finds.
	explainCascade = `
		INSERT INTO public.events (id, org_id, type, payload, published_at, processed_at, status, source, depth, correlation_id,
			causation_id)
		SELECT (left(app.uuid_v7_floor(now() - interval '1 day')::text, 14) || '7' || right(gen_random_uuid()::text, 21))::uuid,
			e.org_id, 'system.probed', '{}', now() - interval '1 day', now() - interval '1 day', 'processed', 'handler', 1, e.id,
			(e.id)
		FROM (SELECT org_id, id FROM public.events WHERE org_id = pg_temp.org(1) ORDER BY id DESC OFFSET 19 LIMIT 1) e,
			generate_series(1, 1000)`
	explainRollUp = `
		DO $$ BEGIN WHILE app.roll_up_events(now()) LOOP NULL; END LOOP; END $$`
)

func statisticsQuestions(now time.Time, newest string) []question {
	ago := func(days int) *timestamppb.Timestamp { return timestamppb.New(now.AddDate(0, 0, -days)) }
	ask := func(name string, request *eventv1.GetEventStatisticsRequest) question {
		return question{name: "bus: statistics, " + name, ask: func(ctx context.Context, c callers) (int, error) {
			answer, err := c.events.GetEventStatistics(ctx, request)
			points := 0
			for _, s := range answer.GetSeries() {
				points += len(s.GetPoints())
			}
			return points, err
		}}
	}
	byHandler := eventv1.StatisticsGrouping_STATISTICS_GROUPING_HANDLER
	all := []question{
		ask("24 hours", &eventv1.GetEventStatisticsRequest{}),
		ask("24 hours by handler", &eventv1.GetEventStatisticsRequest{GroupBy: byHandler}),
		ask("24 hours by minute", &eventv1.GetEventStatisticsRequest{Bucket: eventv1.StatisticsBucket_STATISTICS_BUCKET_MINUTE}),
		ask("7 days by handler", &eventv1.GetEventStatisticsRequest{From: ago(7), GroupBy: byHandler}),
		ask("30 days", &eventv1.GetEventStatisticsRequest{From: ago(30)}),
		ask("90 days", &eventv1.GetEventStatisticsRequest{From: ago(90)}),
		{name: "bus: handlers", ask: func(ctx context.Context, c callers) (int, error) {
			answer, err := c.handlers.ListEventHandlers(ctx, &eventv1.ListEventHandlersRequest{})
			return len(answer.GetEventHandlers()), err
		}},
		{name: "bus: one handler", ask: func(ctx context.Context, c callers) (int, error) {
			answer, err := c.handlers.GetEventHandler(ctx, &eventv1.GetEventHandlerRequest{Name: "notify_matching_candidates"})
			return len(answer.GetErrorGroups()), err
		}},
		{name: "bus: causation, 1,001 events", ask: func(ctx context.Context, c callers) (int, error) {
			answer, err := c.events.GetCausation(ctx, &eventv1.GetCausationRequest{Id: newest})
			return len(answer.GetNodes()), err
		}},
		{name: "bus: explanation", ask: func(ctx context.Context, c callers) (int, error) {
			answer, err := c.events.ExplainDelivery(ctx, &eventv1.ExplainDeliveryRequest{EventId: newest, HandlerName: "run_probe"})
			return len(answer.GetSteps()), err
		}},
	}
	small := ask("24 hours, small", &eventv1.GetEventStatisticsRequest{})
	small.small = true
	return append(all, small)
}
