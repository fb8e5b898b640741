package job_test

import (
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

func TestJobService_CreateJob(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	rita := env.As(t, "recruiter")

	t.Run("OK", func(t *testing.T) {
		t.Parallel()
		before := time.Now().Add(-time.Minute)
		created := create(t, rita, func(r *jobv1.CreateJobRequest) {
			r.ClientId = idOf(t, "client")
			r.ExperienceYearsMin, r.ExperienceYearsMax = new(int32(0)), new(int32(5))
			r.SalaryMin, r.SalaryMax, r.SalaryCurrency = new(int64(70_000)), new(int64(70_000)), "EUR"
			r.RequiredSkills = []string{"Go", "PostgreSQL"}
			r.RemoteAllowed = true
		})
		require.NoError(t, uuid.Validate(created.GetId()))
		require.WithinRange(t, created.GetCreatedAt().AsTime(), before, time.Now().Add(time.Minute))
		require.Equal(t, created.GetCreatedAt().AsTime(), created.GetUpdatedAt().AsTime())
		want := &jobv1.Job{
			Id: created.GetId(), ClientId: idOf(t, "client"), Title: "Backend developer", Description: "Build the event bus.",
			RequiredSkills: []string{"Go", "PostgreSQL"}, ExperienceYearsMin: new(int32(0)), ExperienceYearsMax: new(int32(5)),
			SalaryMin: new(int64(70_000)), SalaryMax: new(int64(70_000)), SalaryCurrency: "EUR", Location: "Lisbon",
			RemoteAllowed: true, Status: jobv1.JobStatus_JOB_STATUS_OPEN, Version: 1, CreatedBy: idOf(t, "recruiter"),
			CreatedAt: created.GetCreatedAt(), UpdatedAt: created.GetUpdatedAt(),
		}
		require.Equal(t, want.String(), created.String())
		require.Equal(t, want.String(), get(t, rita, created.GetId()).String())
	})
	t.Run("OnlyWhatIsNeeded", func(t *testing.T) {
		t.Parallel()
		created := create(t, rita)
		require.Nil(t, created.ExperienceYearsMin)
		require.Nil(t, created.ExperienceYearsMax)
		require.Nil(t, created.SalaryMin)
		require.Nil(t, created.SalaryMax)
		require.Empty(t, created.GetSalaryCurrency())
		require.Empty(t, created.GetClientId())
		require.False(t, created.GetRemoteAllowed())
	})
	t.Run("TrimsTitleLocationAndSkills", func(t *testing.T) {
		t.Parallel()
		created := create(t, rita, func(r *jobv1.CreateJobRequest) {
			r.Title, r.Location, r.Description = "  Backend developer\t", "\nLisbon ", "  Stays as it was written.  "
			r.RequiredSkills = []string{" Go ", "PostgreSQL"}
		})
		require.Equal(t, "Backend developer", created.GetTitle())
		require.Equal(t, "Lisbon", created.GetLocation())
		require.Equal(t, "  Stays as it was written.  ", created.GetDescription())
		require.Equal(t, []string{"Go", "PostgreSQL"}, created.GetRequiredSkills())
	})
	t.Run("DropsSkillsNamedTwice", func(t *testing.T) {
		t.Parallel()
		created := create(t, rita, func(r *jobv1.CreateJobRequest) {
			r.RequiredSkills = []string{"Go", "SQL", " go", "GO", "sql ", "Über", "ÜBER"}
		})
		require.Equal(t, []string{"Go", "SQL", "Über"}, created.GetRequiredSkills())
	})
	t.Run("CurrencyWithoutSalaryIsKept", func(t *testing.T) {
		t.Parallel()
		created := create(t, rita, func(r *jobv1.CreateJobRequest) { r.SalaryCurrency = "EUR" })
		require.Equal(t, "EUR", created.GetSalaryCurrency())
	})
	t.Run("UnknownClient", func(t *testing.T) {
		t.Parallel()
		for name, id := range map[string]string{
			"nobody": uuid.NewString(), "a person without a company": idOf(t, "candidate"),
			"somebody of Globex": idOf(t, "greta@globex.example"),
		} {
			_, err := rita.Jobs.CreateJob(t.Context(), newRequest(func(r *jobv1.CreateJobRequest) { r.ClientId = id }))
			invalid(t, err, "client_id: job.client_id.unknown: There is no such client.")
			require.Equal(t, "invalid_argument: There is no such client.", err.Error(), "%s", name)
		}
	})
	t.Run("DeniedForStudent", func(t *testing.T) {
		t.Parallel()
		_, err := env.As(t, "student").Jobs.CreateJob(t.Context(), newRequest())
		refused(t, err, connect.CodePermissionDenied, "PERMISSION_DENIED")
	})
	t.Run("OtherOrganisation", func(t *testing.T) {
		t.Parallel()
		created := create(t, rita)
		_, err := env.As(t, "gus@globex.example").Jobs.GetJob(t.Context(), &jobv1.GetJobRequest{Id: created.GetId()})
		refused(t, err, connect.CodeNotFound, "JOB_NOT_FOUND")
	})
}

// A client has only what is his.
func TestJobService_Client(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	rita, clive := env.As(t, "recruiter"), env.As(t, "client")
	own := create(t, clive, func(r *jobv1.CreateJobRequest) { r.ClientId, r.Title = idOf(t, "client"), "His own" })
	ordered := create(t, rita, func(r *jobv1.CreateJobRequest) { r.ClientId, r.Title = idOf(t, "client"), "His, by Rita" })
	other := create(t, rita, func(r *jobv1.CreateJobRequest) { r.Title = "Not his" })

	t.Run("SeesHisOwn", func(t *testing.T) {
		t.Parallel()
		list, err := clive.Jobs.ListJobs(t.Context(), &jobv1.ListJobsRequest{Query: "his"})
		require.NoError(t, err)
		require.Equal(t, []string{ordered.GetId(), own.GetId()}, ids(list.GetJobs()))
		require.Equal(t, "His own", get(t, clive, own.GetId()).GetTitle())
	})
	t.Run("DoesNotSeeOthers", func(t *testing.T) {
		t.Parallel()
		_, err := clive.Jobs.GetJob(t.Context(), &jobv1.GetJobRequest{Id: other.GetId()})
		refused(t, err, connect.CodeNotFound, "JOB_NOT_FOUND")
		_, err = clive.Jobs.UpdateJob(t.Context(), &jobv1.UpdateJobRequest{Id: other.GetId(), Version: 1, Title: new("Mine")})
		refused(t, err, connect.CodeNotFound, "JOB_NOT_FOUND")
	})
	t.Run("CreatesNoneForOthers", func(t *testing.T) {
		t.Parallel()
		_, err := clive.Jobs.CreateJob(t.Context(), newRequest())
		require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
		_, err = clive.Jobs.CreateJob(t.Context(), newRequest(func(r *jobv1.CreateJobRequest) { r.ClientId = idOf(t, "candidate") }))
		invalid(t, err, "client_id: job.client_id.unknown: There is no such client.")
	})
	t.Run("UpdatesHisOwnAndKeepsIt", func(t *testing.T) {
		t.Parallel()
		updated, err := clive.Jobs.UpdateJob(t.Context(),
			&jobv1.UpdateJobRequest{Id: own.GetId(), Version: 1, Location: new("Porto")})
		require.NoError(t, err)
		require.Equal(t, "Porto", updated.GetJob().GetLocation())
		_, err = clive.Jobs.UpdateJob(t.Context(), &jobv1.UpdateJobRequest{
			Id: own.GetId(), Version: 2, Clear: []jobv1.UpdateJobRequest_Clearable{jobv1.UpdateJobRequest_CLEARABLE_CLIENT_ID},
		})
		require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	})
	t.Run("DeletesNone", func(t *testing.T) {
		t.Parallel()
		_, err := clive.Jobs.DeleteJob(t.Context(), &jobv1.DeleteJobRequest{Id: ordered.GetId(), Version: 1})
		refused(t, err, connect.CodePermissionDenied, "PERMISSION_DENIED")
	})
}
