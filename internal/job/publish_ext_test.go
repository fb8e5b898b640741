package job_test

import (
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/eventbus/eventbustest"
)

// published returns the event that says that the job was created.
func published(t *testing.T, in eventbustest.Querier, job *jobv1.Job) eventbustest.Published[*jobv1.JobCreated] {
	t.Helper()
	return eventbustest.RequirePublished(t, in, func(p eventbustest.Published[*jobv1.JobCreated]) bool {
		return p.Event.GetJobId() == job.GetId()
	})
}

func TestJobService_CreateJob_Publishes(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, rita := env.Admin(t), env.As(t, "recruiter")
	created := create(t, rita, func(r *jobv1.CreateJobRequest) {
		r.RequiredSkills, r.ExperienceYearsMin = []string{"Go", "SQL"}, new(int32(3))
	})
	stored := published(t, admin, created)
	event := env.As(t, "admin").Event(t, stored.ID.String())

	require.Equal(t, map[string]any{
		"jobId": created.GetId(), "title": "Backend developer", "requiredSkills": []any{"Go", "SQL"}, "experienceYearsMin": 3.0,
	}, event.GetPayload().AsMap())
	require.Equal(t, idOf(t, "recruiter"), stored.CreatedBy.String())
	require.Equal(t, "Rita Recruiter", event.GetCreatedByName())
	require.Equal(t, "api", stored.Source)
	require.Equal(t, stored.ID, stored.CorrelationID)
	require.Nil(t, stored.CausationID)
	require.Zero(t, stored.Depth)
	require.Equal(t, "/intime.job.v1.JobService/CreateJob", event.GetMetadata().AsMap()["procedure"])
	require.Equal(t,
		apptest.One[string](t, admin, `SELECT xmin::text FROM jobs WHERE id = $1`, created.GetId()),
		apptest.One[string](t, admin, `SELECT xmin::text FROM events WHERE id = $1`, event.GetId()), "one transaction wrote both")
	require.Equal(t, []string{"event.published", "job.created"}, apptest.All[string](t, admin,
		`SELECT action FROM audit_logs WHERE request_id = $1 ORDER BY action`, event.GetMetadata().AsMap()["request_id"]))
}

// Neither the job nor the event stays where one of the two cannot be written.
func TestJobService_CreateJob_BothOrNeither(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange []string
		code    connect.Code
	}{
		"TypeUnknownToTheDatabase": {
			[]string{`DELETE FROM app.event_handlers`, `DELETE FROM app.event_types WHERE name = 'job.created'`},
			connect.CodePermissionDenied,
		},
		"NoRightToPublish": {[]string{`REVOKE INSERT ON events FROM authenticated`}, connect.CodePermissionDenied},
		"NoOutbox":         {[]string{`ALTER TABLE event_outbox ADD CHECK (false) NOT VALID`}, connect.CodeInvalidArgument},
		"NoAuditLog":       {[]string{`DROP TABLE audit_logs`}, connect.CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := apptest.New(t, apptest.Options{})
			admin, rita := env.Admin(t), env.As(t, "recruiter")
			create(t, rita) // it works before
			for _, sql := range c.arrange {
				apptest.Exec(t, admin, sql)
			}
			_, err := rita.Jobs.CreateJob(t.Context(), newRequest())
			require.Equal(t, c.code, connect.CodeOf(err), "%v", err)
			require.Equal(t, int64(1), apptest.One[int64](t, admin, `SELECT count(*) FROM jobs`))
			require.Equal(t, int64(1), apptest.One[int64](t, admin, `SELECT count(*) FROM events`))
			require.Equal(t, int64(1), apptest.One[int64](t, admin, `SELECT count(*) FROM event_outbox`))
		})
	}
	t.Run("RefusedJob", func(t *testing.T) {
		t.Parallel()
		env := apptest.New(t, apptest.Options{})
		_, err := env.As(t, "recruiter").Jobs.CreateJob(t.Context(),
			newRequest(func(r *jobv1.CreateJobRequest) { r.ClientId = uuid.NewString() }))
		require.Error(t, err)
		admin := env.Admin(t)
		require.Zero(t, apptest.One[int64](t, admin, `SELECT count(*) FROM jobs`))
		eventbustest.RequireNotPublished[*jobv1.JobCreated](t, admin)
	})
}
