package job_test

import (
	"fmt"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
)

func TestMain(m *testing.M) { apptest.Main(m) }

// newRequest is a request that is right, with nothing that may be left out, but for what change adds.
func newRequest(change ...func(r *jobv1.CreateJobRequest)) *jobv1.CreateJobRequest {
	r := &jobv1.CreateJobRequest{
		Title: "Backend developer", Description: "Build the event bus.", RequiredSkills: []string{"Go"}, Location: "Lisbon",
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func create(t *testing.T, as apptest.Clients, change ...func(r *jobv1.CreateJobRequest)) *jobv1.Job {
	t.Helper()
	response, err := as.Jobs.CreateJob(t.Context(), newRequest(change...))
	require.NoError(t, err)
	return response.GetJob()
}

func get(t *testing.T, as apptest.Clients, id string) *jobv1.Job {
	t.Helper()
	response, err := as.Jobs.GetJob(t.Context(), &jobv1.GetJobRequest{Id: id})
	require.NoError(t, err)
	return response.GetJob()
}

// violations are an error's, as "field: rule: message".
func violations(err error) []string {
	var all []string
	for _, v := range apptest.Detail(err).GetViolations() {
		all = append(all, fmt.Sprintf("%s: %s: %s", v.GetField(), v.GetRule(), v.GetMessage()))
	}
	return all
}

// refused expects the error's code and stable reason.
func refused(t *testing.T, err error, code connect.Code, reason string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, connect.CodeOf(err), "%v", err)
	require.Equal(t, reason, apptest.Detail(err).GetReason(), "%v", err)
}

// invalid expects an error that blames exactly these fields.
func invalid(t *testing.T, err error, want ...string) {
	t.Helper()
	refused(t, err, connect.CodeInvalidArgument, "INVALID_ARGUMENT")
	require.Equal(t, want, violations(err))
}

func idOf(t *testing.T, person string) string {
	t.Helper()
	p, ok := demo.Find(person)
	require.True(t, ok)
	return p.ID().String()
}
