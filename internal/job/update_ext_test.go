package job_test

import (
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

// full fills in what may be left out.
func full(t *testing.T) func(r *jobv1.CreateJobRequest) {
	t.Helper()
	return func(r *jobv1.CreateJobRequest) {
		r.ClientId = idOf(t, "client")
		r.ExperienceYearsMin, r.ExperienceYearsMax = new(int32(2)), new(int32(5))
		r.SalaryMin, r.SalaryMax, r.SalaryCurrency = new(int64(70_000)), new(int64(90_000)), "EUR"
		r.RemoteAllowed = true
	}
}

func TestJobService_UpdateJob(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	rita := env.As(t, "recruiter")
	update := func(t *testing.T, stored *jobv1.Job, change *jobv1.UpdateJobRequest) (*jobv1.Job, error) {
		t.Helper()
		change.Id, change.Version = stored.GetId(), stored.GetVersion()
		response, err := rita.Jobs.UpdateJob(t.Context(), change)
		if err != nil {
			require.Equal(t, stored.String(), get(t, rita, stored.GetId()).String(), "a refused update changes nothing")
		}
		return response.GetJob(), err
	}
	// changed is the stored job after a change, as it should be.
	changed := func(stored, updated *jobv1.Job, change func(j *jobv1.Job)) string {
		want := proto.CloneOf(stored)
		change(want)
		want.Version, want.UpdatedAt = stored.GetVersion()+1, updated.GetUpdatedAt()
		return want.String()
	}

	t.Run("EveryField", func(t *testing.T) {
		t.Parallel()
		stored := create(t, rita, full(t))
		updated, err := update(t, stored, &jobv1.UpdateJobRequest{
			Title: new(" Frontend developer "), Description: new("Build the dashboard."), Location: new(" Porto "),
			RequiredSkills:     &jobv1.UpdateJobRequest_RequiredSkills{Values: []string{" TypeScript", "typescript", "React"}},
			ExperienceYearsMin: new(int32(0)), ExperienceYearsMax: new(int32(0)),
			SalaryMin: new(int64(1)), SalaryMax: new(int64(1)), SalaryCurrency: new("USD"),
			RemoteAllowed: new(false), Status: new(jobv1.JobStatus_JOB_STATUS_FILLED),
		})
		require.NoError(t, err)
		require.Equal(t, changed(stored, updated, func(j *jobv1.Job) {
			j.Title, j.Description, j.Location = "Frontend developer", "Build the dashboard.", "Porto"
			j.RequiredSkills = []string{"TypeScript", "React"}
			j.ExperienceYearsMin, j.ExperienceYearsMax = new(int32(0)), new(int32(0))
			j.SalaryMin, j.SalaryMax, j.SalaryCurrency = new(int64(1)), new(int64(1)), "USD"
			j.RemoteAllowed, j.Status = false, jobv1.JobStatus_JOB_STATUS_FILLED
		}), updated.String())
		require.True(t, updated.GetUpdatedAt().AsTime().After(stored.GetUpdatedAt().AsTime()))
		require.Equal(t, updated.String(), get(t, rita, stored.GetId()).String())
	})
	t.Run("NotSentStays", func(t *testing.T) {
		t.Parallel()
		stored := create(t, rita, full(t))
		updated, err := update(t, stored, &jobv1.UpdateJobRequest{Title: new("Another title")})
		require.NoError(t, err)
		require.Equal(t, changed(stored, updated, func(j *jobv1.Job) { j.Title = "Another title" }), updated.String())
	})
	t.Run("ClearedIsEmpty", func(t *testing.T) {
		t.Parallel()
		stored := create(t, rita, full(t))
		updated, err := update(t, stored, &jobv1.UpdateJobRequest{Clear: []jobv1.UpdateJobRequest_Clearable{
			jobv1.UpdateJobRequest_CLEARABLE_CLIENT_ID, jobv1.UpdateJobRequest_CLEARABLE_EXPERIENCE_YEARS_MIN,
			jobv1.UpdateJobRequest_CLEARABLE_EXPERIENCE_YEARS_MAX, jobv1.UpdateJobRequest_CLEARABLE_SALARY_MIN,
		}})
		require.NoError(t, err)
		require.Equal(t, changed(stored, updated, func(j *jobv1.Job) {
			j.ClientId, j.ExperienceYearsMin, j.ExperienceYearsMax, j.SalaryMin = "", nil, nil, nil
		}), updated.String())
	})
	t.Run("CurrencyGoesWithTheSalary", func(t *testing.T) {
		t.Parallel()
		stored := create(t, rita, full(t))
		updated, err := update(t, stored, &jobv1.UpdateJobRequest{Clear: []jobv1.UpdateJobRequest_Clearable{
			jobv1.UpdateJobRequest_CLEARABLE_SALARY_MIN, jobv1.UpdateJobRequest_CLEARABLE_SALARY_MAX,
		}})
		require.NoError(t, err)
		require.Equal(t, changed(stored, updated, func(j *jobv1.Job) {
			j.SalaryMin, j.SalaryMax, j.SalaryCurrency = nil, nil, ""
		}), updated.String())
	})
	t.Run("SentAndCleared", func(t *testing.T) {
		t.Parallel()
		stored := create(t, rita, full(t))
		for field, change := range map[string]*jobv1.UpdateJobRequest{
			"client_id":            {ClientId: new(idOf(t, "client")), Clear: []jobv1.UpdateJobRequest_Clearable{1}},
			"experience_years_min": {ExperienceYearsMin: new(int32(1)), Clear: []jobv1.UpdateJobRequest_Clearable{2}},
			"experience_years_max": {ExperienceYearsMax: new(int32(9)), Clear: []jobv1.UpdateJobRequest_Clearable{3}},
			"salary_min":           {SalaryMin: new(int64(1)), Clear: []jobv1.UpdateJobRequest_Clearable{4}},
			"salary_max":           {SalaryMax: new(int64(99_000)), Clear: []jobv1.UpdateJobRequest_Clearable{5}},
		} {
			_, err := update(t, stored, change)
			invalid(t, err, field+": job.clear_conflict: The field "+field+" is sent and cleared at once. Do one of the two.")
		}
	})
	t.Run("HeldToTheStoredBound", func(t *testing.T) {
		t.Parallel()
		stored := create(t, rita, full(t)) // 2 to 5 years, 70,000 to 90,000
		const (
			experience = "experience_years_max: experience_years_max.at_least_min: The most experience is not below the least."
			salary     = "salary_max: salary_max.at_least_min: The highest salary is not below the lowest."
		)
		for name, c := range map[string]struct {
			change *jobv1.UpdateJobRequest
			want   []string
		}{
			"max below the stored min":     {&jobv1.UpdateJobRequest{ExperienceYearsMax: new(int32(1))}, []string{experience}},
			"max of 0":                     {&jobv1.UpdateJobRequest{ExperienceYearsMax: new(int32(0))}, []string{experience}},
			"min above the stored max":     {&jobv1.UpdateJobRequest{ExperienceYearsMin: new(int32(6))}, []string{experience}},
			"salary max below, stored min": {&jobv1.UpdateJobRequest{SalaryMax: new(int64(69_999))}, []string{salary}},
			"salary min above, stored max": {&jobv1.UpdateJobRequest{SalaryMin: new(int64(90_001))}, []string{salary}},
			"both sent": {
				&jobv1.UpdateJobRequest{ExperienceYearsMin: new(int32(4)), ExperienceYearsMax: new(int32(3))}, []string{experience},
			},
			"all at once": {
				&jobv1.UpdateJobRequest{ExperienceYearsMax: new(int32(1)), SalaryMin: new(int64(90_001))}, []string{experience, salary},
			},
		} {
			_, err := update(t, stored, c.change)
			require.Error(t, err, "%s", name)
			invalid(t, err, c.want...)
		}
		// With the stored bound out of the way the same values are right.
		updated, err := update(t, stored, &jobv1.UpdateJobRequest{
			ExperienceYearsMax: new(int32(1)), Clear: []jobv1.UpdateJobRequest_Clearable{2},
		})
		require.NoError(t, err)
		require.Equal(t, int32(1), updated.GetExperienceYearsMax())
		updated, err = update(t, updated, &jobv1.UpdateJobRequest{ExperienceYearsMin: new(int32(1))})
		require.NoError(t, err, "equal bounds are right")
		require.Equal(t, int32(1), updated.GetExperienceYearsMin())
	})
	t.Run("SalaryNeedsACurrency", func(t *testing.T) {
		t.Parallel()
		stored := create(t, rita)
		_, err := update(t, stored, &jobv1.UpdateJobRequest{SalaryMin: new(int64(1))})
		invalid(t, err, "salary_currency: salary_currency.required: Say the currency of the salary.")
		updated, err := update(t, stored, &jobv1.UpdateJobRequest{SalaryMin: new(int64(1)), SalaryCurrency: new("EUR")})
		require.NoError(t, err)
		require.Equal(t, "EUR", updated.GetSalaryCurrency())
	})
	t.Run("UnknownClient", func(t *testing.T) {
		t.Parallel()
		_, err := update(t, create(t, rita), &jobv1.UpdateJobRequest{ClientId: new(uuid.NewString())})
		invalid(t, err, "client_id: job.client_id.unknown: There is no such client.")
	})
	t.Run("StaleVersion", func(t *testing.T) {
		t.Parallel()
		stored := create(t, rita)
		updated, err := update(t, stored, &jobv1.UpdateJobRequest{Title: new("First")})
		require.NoError(t, err)
		for _, version := range []int64{1, 3} {
			_, err = rita.Jobs.UpdateJob(t.Context(),
				&jobv1.UpdateJobRequest{Id: stored.GetId(), Version: version, Title: new("Second")})
			refused(t, err, connect.CodeAborted, "JOB_VERSION_STALE")
		}
		require.Equal(t, updated.String(), get(t, rita, stored.GetId()).String())
	})
	t.Run("OneOfManyAtOnce", func(t *testing.T) {
		t.Parallel()
		stored := create(t, rita)
		outcomes := make(chan error)
		for range 8 {
			go func() {
				_, err := rita.Jobs.UpdateJob(t.Context(),
					&jobv1.UpdateJobRequest{Id: stored.GetId(), Version: 1, Title: new("Mine")})
				outcomes <- err
			}()
		}
		won := 0
		for range 8 {
			if err := <-outcomes; err != nil {
				require.Equal(t, "JOB_VERSION_STALE", apptest.Detail(err).GetReason(), "%v", err)
			} else {
				won++
			}
		}
		require.Equal(t, 1, won)
		require.Equal(t, int64(2), get(t, rita, stored.GetId()).GetVersion())
	})
	t.Run("DeniedForStudent", func(t *testing.T) {
		t.Parallel()
		_, err := env.As(t, "student").Jobs.UpdateJob(t.Context(),
			&jobv1.UpdateJobRequest{Id: create(t, rita).GetId(), Version: 1, Title: new("Mine")})
		refused(t, err, connect.CodePermissionDenied, "PERMISSION_DENIED")
	})
	t.Run("OtherOrganisation", func(t *testing.T) {
		t.Parallel()
		_, err := env.As(t, "gus@globex.example").Jobs.UpdateJob(t.Context(),
			&jobv1.UpdateJobRequest{Id: create(t, rita).GetId(), Version: 1, Title: new("Mine")})
		refused(t, err, connect.CodeNotFound, "JOB_NOT_FOUND")
	})
}

func TestJobService_DeleteJob(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, rita := env.Admin(t), env.As(t, "recruiter")
	deleted, kept := create(t, rita), create(t, rita)
	_, err := rita.Jobs.DeleteJob(t.Context(), &jobv1.DeleteJobRequest{Id: deleted.GetId(), Version: 2})
	refused(t, err, connect.CodeAborted, "JOB_VERSION_STALE")
	_, err = rita.Jobs.DeleteJob(t.Context(), &jobv1.DeleteJobRequest{Id: deleted.GetId(), Version: 1})
	require.NoError(t, err)

	t.Run("KeptInTheDatabase", func(t *testing.T) {
		t.Parallel()
		require.True(t, apptest.One[bool](t, admin, `SELECT deleted_at IS NOT NULL FROM jobs WHERE id = $1`, deleted.GetId()))
		require.Equal(t, int64(1), apptest.One[int64](t, admin, `
			SELECT count(*) FROM audit_logs WHERE action = 'job.deleted' AND record_id = $1 AND actor_id = $2`,
			deleted.GetId(), idOf(t, "recruiter")))
	})
	t.Run("FoundNowhere", func(t *testing.T) {
		t.Parallel()
		_, err := rita.Jobs.GetJob(t.Context(), &jobv1.GetJobRequest{Id: deleted.GetId()})
		refused(t, err, connect.CodeNotFound, "JOB_NOT_FOUND")
		_, err = rita.Jobs.UpdateJob(t.Context(), &jobv1.UpdateJobRequest{Id: deleted.GetId(), Version: 2, Title: new("Again")})
		refused(t, err, connect.CodeNotFound, "JOB_NOT_FOUND")
		_, err = rita.Jobs.DeleteJob(t.Context(), &jobv1.DeleteJobRequest{Id: deleted.GetId(), Version: 2})
		refused(t, err, connect.CodeNotFound, "JOB_NOT_FOUND")
		list, err := rita.Jobs.ListJobs(t.Context(), &jobv1.ListJobsRequest{})
		require.NoError(t, err)
		require.Equal(t, []string{kept.GetId()}, ids(list.GetJobs()))
	})
	t.Run("DeniedForBenchSales", func(t *testing.T) {
		t.Parallel()
		_, err := env.As(t, "bench_sales").Jobs.DeleteJob(t.Context(), &jobv1.DeleteJobRequest{Id: kept.GetId(), Version: 1})
		refused(t, err, connect.CodePermissionDenied, "PERMISSION_DENIED")
	})
	t.Run("OtherOrganisation", func(t *testing.T) {
		t.Parallel()
		_, err := env.As(t, "gus@globex.example").Jobs.DeleteJob(t.Context(), &jobv1.DeleteJobRequest{Id: kept.GetId(), Version: 1})
		refused(t, err, connect.CodeNotFound, "JOB_NOT_FOUND")
		require.Equal(t, kept.String(), get(t, rita, kept.GetId()).String())
	})
}
