package candidate_test

import (
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	candidatev1 "github.com/intime-solutions/intime/gen/go/intime/candidate/v1"
	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

func newJob(t *testing.T, as apptest.Clients) string {
	t.Helper()
	response, err := as.Jobs.CreateJob(t.Context(), &jobv1.CreateJobRequest{
		Title: "Tester", Description: "Tests what there is.", RequiredSkills: []string{"COBOL"}, Location: "Lisbon",
	})
	require.NoError(t, err)
	return response.GetJob().GetId()
}

func TestCandidateService_PlaceCandidate(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin, rita, ben := env.Admin(t), env.As(t, "recruiter"), env.As(t, "bench_sales")
	job := newJob(t, rita)
	place := func(as apptest.Clients, id string, version int64, job string) (*candidatev1.PlaceCandidateResponse, error) {
		return as.Candidates.PlaceCandidate(t.Context(), &candidatev1.PlaceCandidateRequest{Id: id, Version: version, JobId: job})
	}
	created := create(t, rita, "nina@acme.example", func(r *candidatev1.CreateCandidateRequest) {
		r.Status = new(candidatev1.CandidateStatus_CANDIDATE_STATUS_BENCH)
	})

	closed := newJob(t, rita)
	_, err := rita.Jobs.UpdateJob(t.Context(), &jobv1.UpdateJobRequest{
		Id: closed, Version: 1,
		Status: new(jobv1.JobStatus_JOB_STATUS_FILLED),
	})
	require.NoError(t, err)
	_, err = place(ben, created.GetId(), 1, closed)
	refused(t, err, connect.CodeFailedPrecondition, "JOB_NOT_OPEN")
	for _, unknown := range []string{uuid.NewString(), newJob(t, env.As(t, "gus@globex.example"))} {
		_, err = place(ben, created.GetId(), 1, unknown)
		refused(t, err, connect.CodeInvalidArgument, "INVALID_ARGUMENT")
		require.Equal(t, []string{"job_id: job.id.unknown"}, violations(err))
	}
	_, err = place(ben, created.GetId(), 2, job)
	refused(t, err, connect.CodeAborted, "CANDIDATE_VERSION_STALE")
	_, err = place(ben, idOf(t, "gina@globex.example"), 1, job)
	refused(t, err, connect.CodeNotFound, "CANDIDATE_NOT_FOUND")
	_, err = place(env.As(t, "trainer"), created.GetId(), 1, job)
	refused(t, err, connect.CodePermissionDenied, "PERMISSION_DENIED")
	require.Zero(t, apptest.One[int](t, admin, `SELECT count(*) FROM placements`))
	require.Zero(t, apptest.One[int](t, admin, `SELECT count(*) FROM events WHERE type = 'candidate.placed'`), "refused is not published")

	response, err := place(ben, created.GetId(), 1, job)
	require.NoError(t, err)
	require.Equal(t, candidatev1.CandidateStatus_CANDIDATE_STATUS_PLACED, response.GetCandidate().GetStatus())
	require.Equal(t, int64(2), response.GetCandidate().GetVersion())
	made := response.GetPlacement()
	require.Equal(t, []string{created.GetId(), job, idOf(t, "bench_sales")}, []string{
		made.GetCandidateId(), made.GetJobId(),
		made.GetPlacedBy(),
	})
	require.Equal(t, candidatev1.CandidateStatus_CANDIDATE_STATUS_BENCH, made.GetPreviousStatus())
	require.Equal(t, []string{"placement.created"}, apptest.All[string](t, admin,
		`SELECT action FROM audit_logs WHERE record_id = $1`, made.GetId()))

	apptest.Handled(t, admin, apptest.One[string](t, admin,
		`SELECT id::text FROM events WHERE type = 'candidate.placed' AND payload ->> 'placementId' = $1`, made.GetId()))
	counted, err := ben.Candidates.ListPodMetrics(t.Context(), &candidatev1.ListPodMetricsRequest{})
	require.NoError(t, err)
	require.Len(t, counted.GetPodMetrics(), 1)
	require.Equal(t, int32(1), counted.GetPodMetrics()[0].GetPlacementsCount())
	require.Equal(t, int32(1), counted.GetPodMetrics()[0].GetBenchPlacementsCount())

	_, err = place(ben, created.GetId(), 2, job)
	refused(t, err, connect.CodeFailedPrecondition, "CANDIDATE_NOT_AVAILABLE")
	barred := create(t, rita, "barred@acme.example", func(r *candidatev1.CreateCandidateRequest) {
		r.Status = new(candidatev1.CandidateStatus_CANDIDATE_STATUS_BLACKLISTED)
	})
	_, err = place(ben, barred.GetId(), 1, job)
	refused(t, err, connect.CodeFailedPrecondition, "CANDIDATE_NOT_AVAILABLE")
}
