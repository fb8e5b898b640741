package candidate

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	candidatev1 "github.com/intime-solutions/intime/gen/go/intime/candidate/v1"
	"github.com/intime-solutions/intime/internal/platform/page"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// podMetrics is a row of the table pod_metrics.
type podMetrics struct {
	Month                time.Time
	RecruiterID          uuid.UUID
	RecruiterName        *string
	PlacementsCount      int32
	BenchPlacementsCount int32
	LastPlacedAt         *time.Time
}

func (m *podMetrics) proto() *candidatev1.PodMetrics {
	p := &candidatev1.PodMetrics{
		Month: m.Month.Format(time.DateOnly), RecruiterId: m.RecruiterID.String(),
		PlacementsCount: m.PlacementsCount, BenchPlacementsCount: m.BenchPlacementsCount,
	}
	if m.RecruiterName != nil {
		p.RecruiterName = *m.RecruiterName
	}
	if m.LastPlacedAt != nil {
		p.LastPlacedAt = timestamppb.New(*m.LastPlacedAt)
	}
	return p
}

// metricsFilters are what the list is filtered by; a page token is bound to them.
type metricsFilters struct{ FromMonth, ToMonth, RecruiterID string }

// ListPodMetrics returns how many candidates were placed, by month and by who placed them, newest month first.
func (s *Service) ListPodMetrics(
	ctx context.Context, r *candidatev1.ListPodMetricsRequest,
) (*candidatev1.ListPodMetricsResponse, error) {
	filters := metricsFilters{FromMonth: r.GetFromMonth(), ToMonth: r.GetToMonth(), RecruiterID: r.GetRecruiterId()}
	after, err := page.Decode(r.GetPageToken(), filters)
	if err != nil {
		return nil, err
	}
	size := page.Size(r.GetPageSize())
	var found []*podMetrics
	err = s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		found, err = listPodMetrics(ctx, tx, filters, after, size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	response := &candidatev1.ListPodMetricsResponse{}
	if len(found) > size {
		found = found[:size]
		last := found[size-1]
		token := page.Token{After: last.RecruiterID, Key: last.Month.Format(time.DateOnly)}
		if response.NextPageToken, err = token.Encode(filters); err != nil {
			return nil, err
		}
	}
	for _, m := range found {
		response.PodMetrics = append(response.PodMetrics, m.proto())
	}
	return response, nil
}

func listPodMetrics(
	ctx context.Context, tx *postgres.Tx, by metricsFilters, after page.Token, limit int,
) ([]*podMetrics, error) {
	where := postgres.NewFilter()
	if by.FromMonth != "" {
		where.And("m.month >= @from::date", "from", by.FromMonth+"-01")
	}
	if by.ToMonth != "" {
		where.And("m.month <= @to::date", "to", by.ToMonth+"-01")
	}
	if by.RecruiterID != "" {
		where.And("m.recruiter_id = @recruiter", "recruiter", by.RecruiterID)
	}
	if after.After != uuid.Nil {
		month, err := time.Parse(time.DateOnly, after.Key)
		if err != nil {
			return nil, page.ErrToken()
		}
		where.And("(m.month, m.recruiter_id) < (@month::date, @after)", "month", month)
		where.Args["after"] = after.After
	}
	where.Args["limit"] = limit
	rows, err := tx.Query(ctx, `
		SELECT m.month, m.recruiter_id, p.full_name AS recruiter_name, m.placements_count, m.bench_placements_count,
			m.last_placed_at
		FROM public.pod_metrics m LEFT JOIN public.user_profiles p ON p.org_id = m.org_id AND p.id = m.recruiter_id
		WHERE `+where.SQL()+` ORDER BY m.month DESC, m.recruiter_id DESC LIMIT @limit`, where.Args)
	if err != nil {
		return nil, fmt.Errorf("list pod metrics: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[podMetrics])
	if err != nil {
		return nil, fmt.Errorf("list pod metrics: %w", err)
	}
	return found, nil
}
