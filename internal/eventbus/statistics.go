package eventbus

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	// maxPoints is how many points a series has at most.
	maxPoints = 1500
	// minutesKept is for how long there are minutes.
	minutesKept = 24 * time.Hour
	day         = 24 * time.Hour
)

// widths are how wide the points of a series are.
//
//nolint:gochecknoglobals // a constant
var widths = map[eventv1.StatisticsBucket]time.Duration{
	eventv1.StatisticsBucket_STATISTICS_BUCKET_MINUTE: time.Minute,
	eventv1.StatisticsBucket_STATISTICS_BUCKET_HOUR:   time.Hour,
	eventv1.StatisticsBucket_STATISTICS_BUCKET_DAY:    day,
}

// GetEventStatistics returns how many events were published and what became of them.
func (s *Service) GetEventStatistics(
	ctx context.Context, r *eventv1.GetEventStatisticsRequest,
) (*eventv1.GetEventStatisticsResponse, error) {
	now := time.Now()
	asked, bucket, err := rangeOf(r, now)
	if err != nil {
		return nil, err
	}
	asked.types, asked.handler = r.GetTypes(), r.GetHandlerName()
	response := &eventv1.GetEventStatisticsResponse{
		From: timestamppb.New(asked.from), Until: timestamppb.New(asked.until), Bucket: bucket,
	}
	err = s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		rows, counted, err := readRollups(ctx, tx, asked, bucket == eventv1.StatisticsBucket_STATISTICS_BUCKET_MINUTE)
		if err != nil {
			return err
		}
		response.CountedUntil = timestamp(counted)
		response.Series = seriesOf(rows, r.GetGroupBy(), asked, widths[bucket])
		response.ByType = seriesOf(rows, eventv1.StatisticsGrouping_STATISTICS_GROUPING_TYPE, asked, 0)
		response.ByHandler = seriesOf(rows, eventv1.StatisticsGrouping_STATISTICS_GROUPING_HANDLER, asked, 0)
		response.Now, err = s.now(ctx, tx, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// now is where the events stand, with today's count.
func (s *Service) now(ctx context.Context, tx *postgres.Tx, at time.Time) (*eventv1.EventsNow, error) {
	now, err := eventsNow(ctx, tx)
	if err != nil {
		return nil, err
	}
	midnight := at.UTC().Truncate(day)
	rows, _, err := readRollups(ctx, tx, span{from: midnight, until: midnight.Add(day)}, false)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.HandlerName == "" {
			now.TodayCount += int64(row.Total)
		}
	}
	now.DailyWarning = int64(s.bus.config.DailyWarning)
	now.OverDailyWarning = now.GetDailyWarning() > 0 && now.GetTodayCount() >= now.GetDailyWarning()
	return now, nil
}

// rangeOf returns the range that was asked for, in whole points, and how wide they are.
func rangeOf(r *eventv1.GetEventStatisticsRequest, now time.Time) (span, eventv1.StatisticsBucket, error) {
	from, err := timeOf("from", r.GetFrom())
	if err != nil {
		return span{}, 0, err
	}
	until, err := timeOf("until", r.GetUntil())
	if err != nil {
		return span{}, 0, err
	}
	s := span{until: now}
	if until != nil {
		s.until = *until
	}
	s.from = s.until.Add(-day)
	if from != nil {
		s.from = *from
	}
	if !s.from.Before(s.until) {
		return span{}, 0, apierr.Invalid(apierr.Violation{
			Field: "from", Rule: "from.before_until", Message: "The range begins before it ends.",
		})
	}
	bucket := r.GetBucket()
	if bucket == eventv1.StatisticsBucket_STATISTICS_BUCKET_UNSPECIFIED {
		bucket = bucketFor(s, now)
	}
	width := widths[bucket]
	s.from, s.until = s.from.UTC().Truncate(width), s.until.UTC().Add(width-1).Truncate(width)
	switch {
	case s.until.Sub(s.from) > maxPoints*width:
		return span{}, 0, apierr.Invalid(apierr.Violation{
			Field: "bucket", Rule: "bucket.points",
			Message: "A series has at most 1,500 points: ask for wider ones, or for a shorter range.",
		})
	case width == time.Minute && s.from.Before(now.Add(-minutesKept-time.Minute)):
		return span{}, 0, apierr.Invalid(apierr.Violation{
			Field: "bucket", Rule: "bucket.minutes", Message: "There are minutes for the last 24 hours only: ask for hours.",
		})
	}
	return s, bucket, nil
}

func bucketFor(s span, now time.Time) eventv1.StatisticsBucket {
	switch length := s.until.Sub(s.from); {
	case length <= 3*time.Hour && !s.from.Before(now.Add(-minutesKept)):
		return eventv1.StatisticsBucket_STATISTICS_BUCKET_MINUTE
	case length <= 8*day:
		return eventv1.StatisticsBucket_STATISTICS_BUCKET_HOUR
	default:
		return eventv1.StatisticsBucket_STATISTICS_BUCKET_DAY
	}
}

// point is what rollups come to.
type point struct {
	events, deliveries, processed, eventsDead, deliveriesDead, eventsOpen, deliveriesOpen int64
	succeeded, failedAttempts, skipped                                                    int64
	handled, waited, ran                                                                  durations
}

func (p *point) add(r rollup) {
	if r.HandlerName == "" {
		p.events += int64(r.Total)
		p.processed += int64(r.Succeeded)
		p.eventsDead += int64(r.DeadLettered)
		p.eventsOpen += int64(r.Unfinished)
		p.handled.add(r.HandledUS, r.Handled)
		return
	}
	p.deliveries += int64(r.Total)
	p.succeeded += int64(r.Succeeded)
	p.deliveriesDead += int64(r.DeadLettered)
	p.deliveriesOpen += int64(r.Unfinished)
	p.failedAttempts += int64(r.FailedAttempts)
	p.skipped += int64(r.Skipped)
	p.waited.add(r.WaitUS, r.Waits)
	p.ran.add(r.RunUS, r.Runs)
}

// proto is the point for events, or, where only a handler's deliveries are counted, for those.
func (p *point) proto(start time.Time, ofHandler bool) *eventv1.StatisticsPoint {
	out := &eventv1.StatisticsPoint{
		Start: timestamppb.New(start), Published: p.events, Processed: p.processed, DeadLettered: p.eventsDead,
		Unfinished: p.eventsOpen, Succeeded: p.succeeded, FailedAttempts: p.failedAttempts, Skipped: p.skipped,
		FailureRate: p.failureRate(), Handled: p.handled.proto(), Waited: p.waited.proto(), Ran: p.ran.proto(),
	}
	if ofHandler {
		out.Published, out.Processed = p.deliveries, p.succeeded
		out.DeadLettered, out.Unfinished = p.deliveriesDead, p.deliveriesOpen
	}
	return out
}

func (p *point) failureRate() float64 {
	attempts := p.succeeded + p.failedAttempts
	if attempts == 0 {
		return 0
	}
	return float64(p.failedAttempts) / float64(attempts)
}

// seriesOf adds rollups up to series, by name. With a width they have points, the oldest first.
func seriesOf(rows []rollup, by eventv1.StatisticsGrouping, s span, width time.Duration) []*eventv1.StatisticsSeries {
	type series struct {
		total  point
		points map[time.Time]*point
	}
	all := map[string]*series{}
	if by == eventv1.StatisticsGrouping_STATISTICS_GROUPING_UNSPECIFIED {
		// There is one, also where nothing happened.
		all[""] = &series{points: map[time.Time]*point{}}
	}
	for _, row := range rows {
		name := ""
		switch by {
		case eventv1.StatisticsGrouping_STATISTICS_GROUPING_TYPE:
			name = row.EventType
		case eventv1.StatisticsGrouping_STATISTICS_GROUPING_HANDLER:
			if row.HandlerName == "" {
				continue
			}
			name = row.HandlerName
		case eventv1.StatisticsGrouping_STATISTICS_GROUPING_UNSPECIFIED:
		}
		in := all[name]
		if in == nil {
			in = &series{points: map[time.Time]*point{}}
			all[name] = in
		}
		in.total.add(row)
		if width == 0 {
			continue
		}
		start := row.Bucket.UTC().Truncate(width)
		if in.points[start] == nil {
			in.points[start] = &point{}
		}
		in.points[start].add(row)
	}
	ofHandler := by == eventv1.StatisticsGrouping_STATISTICS_GROUPING_HANDLER || s.handler != ""
	var found []*eventv1.StatisticsSeries
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out := &eventv1.StatisticsSeries{Name: name, Total: all[name].total.proto(s.from, ofHandler)}
		for start, p := range all[name].points {
			out.Points = append(out.Points, p.proto(start, ofHandler))
		}
		slices.SortFunc(out.GetPoints(), func(a, b *eventv1.StatisticsPoint) int {
			return cmp.Compare(a.GetStart().AsTime().UnixNano(), b.GetStart().AsTime().UnixNano())
		})
		found = append(found, out)
	}
	return found
}
