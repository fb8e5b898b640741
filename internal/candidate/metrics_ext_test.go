package candidate_test

import (
	"fmt"
	"testing"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	candidatev1 "github.com/intime-solutions/intime/gen/go/intime/candidate/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

// place writes a placement of the past and publishes it as who placed; it returns the event's id.
func place(t *testing.T, admin *pgx.Conn, recruiter, candidate, from, at string) string {
	t.Helper()
	var placement, job string
	require.NoError(t, admin.QueryRow(t.Context(), `
		WITH job AS (
			INSERT INTO jobs (org_id, title, description, required_skills, location)
			SELECT org_id, 'Tester', 'Tests what there is.', '{Go}', 'Lisbon' FROM user_profiles WHERE id = $1
			RETURNING org_id, id
		)
		INSERT INTO placements (org_id, candidate_id, job_id, placed_by, previous_status, placed_at)
		SELECT org_id, $2, id, $1, $3, $4::timestamptz FROM job RETURNING id::text, job_id::text`,
		idOf(t, recruiter), idOf(t, candidate), from, at).Scan(&placement, &job))
	return apptest.PublishAs(t, admin, recruiter, "candidate.placed", map[string]any{
		"placementId": placement, "candidateId": idOf(t, candidate), "jobId": job,
	})
}

// metrics are what the person reads, a line for each.
func metrics(t *testing.T, as apptest.Clients, r *candidatev1.ListPodMetricsRequest) []string {
	t.Helper()
	response, err := as.Candidates.ListPodMetrics(t.Context(), r)
	require.NoError(t, err)
	var lines []string
	for _, m := range response.GetPodMetrics() {
		lines = append(lines, fmt.Sprintf("%s %s %d %d %s", m.GetMonth(), m.GetRecruiterName(), m.GetPlacementsCount(),
			m.GetBenchPlacementsCount(), m.GetLastPlacedAt().AsTime().Format("01-02")))
	}
	return lines
}

func TestUpdatePodMetrics(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin := env.Admin(t)
	var events []string
	for _, p := range [][4]string{
		{"rita@acme.example", "cara@acme.example", "bench", "2026-09-30T23:59:59Z"},
		{"rita@acme.example", "carl@acme.example", "active", "2026-10-01T00:00:00Z"},
		{"rita@acme.example", "cleo@acme.example", "bench", "2026-10-31T23:59:59.999Z"},
		{"ben@acme.example", "paul@acme.example", "inactive", "2026-10-15T12:00:00+14:00"},
		{"gus@globex.example", "gina@globex.example", "active", "2026-10-02T00:00:00Z"},
	} {
		events = append(events, place(t, admin, p[0], p[1], p[2], p[3]))
	}
	for _, event := range events {
		apptest.Handled(t, admin, event)
	}
	rita := env.As(t, "recruiter")
	byMonth := func(lines []string) map[string]bool {
		all := map[string]bool{}
		for _, line := range lines {
			all[line] = true
		}
		return all
	}
	acme := map[string]bool{
		"2026-10-01 Rita Recruiter 2 1 10-31": true, "2026-09-01 Rita Recruiter 1 1 09-30": true, "2026-10-01 Ben Bench 1 0 10-14": true,
	}
	all := &candidatev1.ListPodMetricsRequest{}
	ana := env.As(t, "admin")
	require.Equal(t, acme, byMonth(metrics(t, ana, all)))
	for _, event := range events {
		apptest.Rerun(t, admin, event)
	}
	require.Equal(t, acme, byMonth(metrics(t, ana, all)), "counted twice is counted once")
	require.Equal(t, []string{"2026-10-01 Gus Recruiter 1 0 10-02"}, metrics(t, env.As(t, "greta@globex.example"), all))

	t.Run("Filters", func(t *testing.T) {
		t.Parallel()
		require.Len(t, metrics(t, ana, &candidatev1.ListPodMetricsRequest{FromMonth: "2026-10"}), 2)
		require.Equal(t, []string{"2026-09-01 Rita Recruiter 1 1 09-30"}, metrics(t, ana,
			&candidatev1.ListPodMetricsRequest{ToMonth: "2026-09"}))
		require.Empty(t, metrics(t, ana, &candidatev1.ListPodMetricsRequest{FromMonth: "2026-11"}))
		require.Equal(t, []string{"2026-10-01 Ben Bench 1 0 10-14"},
			metrics(t, ana, &candidatev1.ListPodMetricsRequest{RecruiterId: idOf(t, "bench_sales")}))
		require.Empty(t, metrics(t, ana, &candidatev1.ListPodMetricsRequest{RecruiterId: idOf(t, "gus@globex.example")}))
		for _, r := range []*candidatev1.ListPodMetricsRequest{
			{FromMonth: "2026"},
			{ToMonth: "2026-13"},
			{FromMonth: "0000-01"},
			{FromMonth: "2026-10", ToMonth: "2026-09"},
			{PageSize: 101},
			{PageToken: "x"},
			{RecruiterId: "x"},
		} {
			_, err := ana.Candidates.ListPodMetrics(t.Context(), r)
			require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err), "%v: %v", r, err)
		}
	})
	t.Run("Pages", func(t *testing.T) {
		t.Parallel()
		r := &candidatev1.ListPodMetricsRequest{PageSize: 1}
		var walked []string
		for range 4 {
			response, err := ana.Candidates.ListPodMetrics(t.Context(), r)
			require.NoError(t, err)
			for _, m := range response.GetPodMetrics() {
				walked = append(walked, m.GetMonth()+m.GetRecruiterId())
			}
			if r.PageToken = response.GetNextPageToken(); r.PageToken == "" {
				break
			}
		}
		require.Len(t, walked, 3)
		require.IsDecreasing(t, walked)
		_, err := ana.Candidates.ListPodMetrics(t.Context(), &candidatev1.ListPodMetricsRequest{PageSize: 1})
		require.NoError(t, err)
	})
	t.Run("WhoSeesThem", func(t *testing.T) {
		t.Parallel()
		require.Len(t, metrics(t, rita, all), 3)
		require.Empty(t, metrics(t, env.As(t, "candidate"), all), "a candidate sees himself, not how placing goes")
		_, err := env.As(t, "student").Candidates.ListPodMetrics(t.Context(), all)
		require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	})
}

// An event without its placement counts nothing; neither does one that names another organisation's.
func TestUpdatePodMetrics_NoPlacement(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin := env.Admin(t)
	foreign := place(t, admin, "gus@globex.example", "gina@globex.example", "active", "2026-10-02T00:00:00Z")
	apptest.Handled(t, admin, foreign)
	placement := apptest.One[string](t, admin, `SELECT id::text FROM placements`)
	for _, id := range []string{placement, idOf(t, "recruiter")} {
		event := apptest.PublishAs(t, admin, "recruiter", "candidate.placed", map[string]any{
			"placement_id": id, "candidate_id": idOf(t, "candidate"), "job_id": idOf(t, "candidate"),
		})
		apptest.Handled(t, admin, event)
	}
	require.Equal(t, 1, apptest.One[int](t, admin, `SELECT sum(placements_count)::int FROM pod_metrics`))
}
