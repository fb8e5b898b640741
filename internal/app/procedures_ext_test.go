package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	authv1 "github.com/intime-solutions/intime/gen/go/intime/auth/v1"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
)

// procedure is an RPC of the program, as its descriptor has it.
type procedure struct {
	path       string
	input      protoreflect.MessageDescriptor
	declared   bool
	public     bool
	permission string
	reads      bool // declared to have no side effects
	streams    bool // answers with a stream
}

// procedures are all RPCs that the program links.
func procedures(t *testing.T) []procedure {
	t.Helper()
	var all []procedure
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "intime.") {
			return true
		}
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				all = append(all, describe(service, service.Methods().Get(j)))
			}
		}
		return true
	})
	require.NotEmpty(t, all)
	return all
}

func describe(service protoreflect.ServiceDescriptor, method protoreflect.MethodDescriptor) procedure {
	p := procedure{
		path: fmt.Sprintf("/%s/%s", service.FullName(), method.Name()), input: method.Input(), streams: method.IsStreamingServer(),
	}
	options, _ := method.Options().(*descriptorpb.MethodOptions)
	p.reads = options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
	if rule, ok := proto.GetExtension(options, authv1.E_Authorization).(*authv1.Authorization); ok && rule != nil {
		p.declared, p.public, p.permission = true, rule.GetPublic(), rule.GetPermission()
	}
	return p
}

// things are what the requests are about: a job, an event, a client, a candidate, a student, somebody who placed
// candidates, and replays, of one organisation.
type things struct{ job, event, client, recruiter, candidate, student, running, paused string }

func missing() things {
	return things{
		job: uuid.NewString(), event: uuid.NewString(), client: uuid.NewString(), recruiter: uuid.NewString(),
		candidate: uuid.NewString(),
		student:   uuid.NewString(), running: uuid.NewString(), paused: uuid.NewString(),
	}
}

// request is a call that is right in every way.
type request struct {
	body map[string]any
	ids  map[string]string // the fields that hold ids of other things, and which
}

// requests has one for each procedure: a new procedure has to be added here before the guards let it pass.
func requests(of things) map[string]request {
	job := map[string]any{
		"title": "Tester", "description": "Walks every procedure.", "required_skills": []string{"Go"}, "location": "Lisbon",
		"client_id": of.client,
	}
	return map[string]request{
		"/intime.session.v1.SessionService/GetSignInOptions":   {},
		"/intime.session.v1.SessionService/SignInAsDemoPerson": {body: map[string]any{"email": "ana@acme.example"}},
		"/intime.session.v1.SessionService/RefreshSession":     {},
		"/intime.session.v1.SessionService/SignOut":            {},
		"/intime.user.v1.UserService/GetMe":                    {},
		"/intime.candidate.v1.CandidateService/CreateCandidate": {
			body: map[string]any{"email": uuid.NewString() + "@candidate.example", "full_name": "Walked Candidate"},
		},
		"/intime.candidate.v1.CandidateService/GetCandidate": {
			body: map[string]any{"id": of.candidate}, ids: map[string]string{"id": of.candidate},
		},
		"/intime.candidate.v1.CandidateService/ListCandidates": {},
		"/intime.candidate.v1.CandidateService/UpdateCandidate": {
			body: map[string]any{"id": of.candidate, "version": "1", "full_name": "Renamed"}, ids: map[string]string{"id": of.candidate},
		},
		"/intime.candidate.v1.CandidateService/DeleteCandidate": {
			body: map[string]any{"id": of.candidate, "version": "1"}, ids: map[string]string{"id": of.candidate},
		},
		"/intime.candidate.v1.CandidateService/PlaceCandidate": {
			body: map[string]any{"id": of.candidate, "version": "1", "job_id": of.job},
			ids:  map[string]string{"id": of.candidate, "job_id": of.job},
		},
		"/intime.candidate.v1.CandidateService/ListPodMetrics": {ids: map[string]string{"recruiter_id": of.recruiter}},
		"/intime.job.v1.JobService/CreateJob":                  {body: job, ids: map[string]string{"client_id": of.client}},
		"/intime.job.v1.JobService/GetJob": {
			body: map[string]any{"id": of.job},
			ids:  map[string]string{"id": of.job},
		},
		"/intime.job.v1.JobService/ListJobs": {ids: map[string]string{"client_id": of.client}},
		"/intime.job.v1.JobService/UpdateJob": {
			body: map[string]any{"id": of.job, "version": "1", "title": "Tester at large"},
			ids:  map[string]string{"id": of.job, "client_id": of.client},
		},
		"/intime.job.v1.JobService/DeleteJob": {
			body: map[string]any{"id": of.job, "version": "1"}, ids: map[string]string{"id": of.job},
		},
		"/intime.user.v1.UserService/CreateUser": {
			body: map[string]any{
				"email": uuid.NewString() + "@user.example", "full_name": "Walked User", "employee_hire_date": "2026-01-01",
			},
		},
		"/intime.user.v1.UserService/GetUser":   {body: map[string]any{"id": of.student}, ids: map[string]string{"id": of.student}},
		"/intime.user.v1.UserService/ListUsers": {},
		"/intime.user.v1.UserService/UpdateProfile": {
			body: map[string]any{"id": of.student, "version": "1", "full_name": "Renamed"}, ids: map[string]string{"id": of.student},
		},
		"/intime.user.v1.UserService/CompleteOnboarding": {},
		"/intime.user.v1.UserService/DeactivateUser": {
			body: map[string]any{"id": of.student, "version": "1"}, ids: map[string]string{"id": of.student},
		},
		"/intime.user.v1.UserService/ReactivateUser": {
			body: map[string]any{"id": of.student, "version": "1"}, ids: map[string]string{"id": of.student},
		},
		"/intime.student.v1.StudentService/CreateStudent": {
			body: map[string]any{"email": uuid.NewString() + "@student.example", "full_name": "Walked Student"},
		},
		"/intime.student.v1.StudentService/GetStudent": {
			body: map[string]any{"id": of.student}, ids: map[string]string{"id": of.student},
		},
		"/intime.student.v1.StudentService/ListStudents": {},
		"/intime.student.v1.StudentService/UpdateStudent": {
			body: map[string]any{"id": of.student, "version": "1", "full_name": "Renamed"}, ids: map[string]string{"id": of.student},
		},
		"/intime.student.v1.StudentService/DeleteStudent": {
			body: map[string]any{"id": of.student, "version": "1"}, ids: map[string]string{"id": of.student},
		},
		"/intime.student.v1.StudentService/MarkGraduated": {
			body: map[string]any{"id": of.student, "version": "1", "grade": 80}, ids: map[string]string{"id": of.student},
		},
		"/intime.event.v1.EventService/PublishEvent": {
			body: map[string]any{"type": "system.probe", "payload": map[string]any{"action": "PROBE_ACTION_OK"}},
		},
		"/intime.event.v1.EventService/PublishEvents": {
			body: map[string]any{"events": []any{map[string]any{
				"type": "system.probe", "payload": map[string]any{"action": "PROBE_ACTION_OK"},
			}}},
		},
		"/intime.event.v1.EventService/ReplayEvents": {
			body: map[string]any{"ids": []string{of.event}}, ids: map[string]string{"ids": of.event},
		},
		"/intime.event.v1.EventService/PreviewReplay": {
			body: map[string]any{"ids": []string{of.event}}, ids: map[string]string{"ids": of.event},
		},
		"/intime.event.v1.EventService/GetReplay": {
			body: map[string]any{"id": of.running}, ids: map[string]string{"id": of.running},
		},
		"/intime.event.v1.EventService/ListReplays": {},
		"/intime.event.v1.EventService/PauseReplay": {
			body: map[string]any{"id": of.running}, ids: map[string]string{"id": of.running},
		},
		"/intime.event.v1.EventService/ResumeReplay": {
			body: map[string]any{"id": of.paused}, ids: map[string]string{"id": of.paused},
		},
		"/intime.event.v1.EventService/AbortReplay": {
			body: map[string]any{"id": of.running}, ids: map[string]string{"id": of.running},
		},
		"/intime.event.v1.DeadLetterService/ListDeadLetters": {},
		"/intime.event.v1.DeadLetterService/RetryDeadLetters": {
			body: map[string]any{"dead_letters": []any{map[string]any{"event_id": of.event, "handler_name": "run_probe"}}},
		},
		"/intime.event.v1.DeadLetterService/DiscardDeadLetters": {
			body: map[string]any{
				"dead_letters": []any{map[string]any{"event_id": of.event, "handler_name": "run_probe"}},
				"reason":       "A guard walks every procedure.",
			},
		},
		"/intime.event.v1.EventSettingsService/GetEventSettings":    {},
		"/intime.event.v1.EventSettingsService/UpdateEventSettings": {body: map[string]any{"retention_days": 90 + rand.IntN(1000)}},
		"/intime.event.v1.EventHandlerService/ListEventHandlers":    {},
		"/intime.event.v1.EventHandlerService/DisableEventHandler": {
			body: map[string]any{"name": "run_probe", "reason": "A guard walks every procedure."},
		},
		"/intime.event.v1.EventHandlerService/EnableEventHandler": {body: map[string]any{"name": "run_probe"}},
		"/intime.event.v1.EventService/GetEvent": {
			body: map[string]any{"id": of.event}, ids: map[string]string{"id": of.event},
		},
		"/intime.event.v1.EventService/ListEvents":         {ids: map[string]string{"id": of.event}},
		"/intime.event.v1.EventService/ListEventTypes":     {},
		"/intime.event.v1.EventService/GetEventStatistics": {},
		"/intime.event.v1.EventService/GetCausation": {
			body: map[string]any{"id": of.event}, ids: map[string]string{"id": of.event},
		},
		"/intime.event.v1.EventService/ExplainDelivery": {
			body: map[string]any{"event_id": of.event, "handler_name": "run_probe"}, ids: map[string]string{"event_id": of.event},
		},
		"/intime.event.v1.EventHandlerService/GetEventHandler": {body: map[string]any{"name": "run_probe"}},
		"/intime.event.v1.EventService/WatchEvents":            {},
		"/intime.event.v1.EventService/ExportEvents": {
			body: map[string]any{"format": "EXPORT_FORMAT_NDJSON"}, ids: map[string]string{"id": of.event},
		},
	}
}

func (p procedure) request(t *testing.T, of things) request {
	t.Helper()
	r, ok := requests(of)[p.path]
	require.True(t, ok, "%s is new: add a request that is right to requests()", p.path)
	return r
}

// encode returns the request's body, with one field changed where it is named.
func (r request) encode(t *testing.T, field, value string) string {
	t.Helper()
	body := map[string]any{}
	maps.Copy(body, r.body)
	switch {
	case strings.HasSuffix(field, "ids"):
		body[field] = []string{value}
	case field != "":
		body[field] = value
	}
	data, err := json.Marshal(body)
	require.NoError(t, err)
	return string(data)
}

// call calls the procedure with a request that is right.
func (p procedure) call(t *testing.T, env *apptest.Env, token string, of things, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	return p.send(t, env, token, p.request(t, of).encode(t, "", ""), header...)
}

// send sends the body. The answer of a stream is returned as if it were one of a single message.
func (p procedure) send(t *testing.T, env *apptest.Env, token, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	if !p.streams {
		return env.Call(t, token, p.path, body, header...)
	}
	return env.Stream(t, token, p.path, body, strings.Contains(p.path, "/Watch"), header...)
}

// codeOf is the Connect code of an answer; empty for a success.
func codeOf(t *testing.T, answer *httptest.ResponseRecorder) string {
	t.Helper()
	var failure struct {
		Code string `json:"code"`
	}
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &failure), "the answer %s is not JSON", answer.Body)
	return failure.Code
}

// newThings makes a job and an event in the organisation of the person.
func newThings(t *testing.T, admin *pgx.Conn, person string) things {
	t.Helper()
	p, ok := demo.Find(person)
	require.True(t, ok)
	of := things{}
	of.client = apptest.One[string](t, admin, `
		INSERT INTO user_profiles (org_id, email, full_name, client_company_name)
		VALUES ($1, $2, 'Cora Client', 'Hooli') RETURNING id::text`, p.Organization.ID(), uuid.NewString()+"@client.example")
	of.job = apptest.One[string](t, admin, `
		INSERT INTO jobs (org_id, title, description, required_skills, location, created_by, client_id)
		VALUES ($1, 'Tester', 'Walks every procedure.', '{Go}', 'Lisbon', $2, $3) RETURNING id::text`,
		p.Organization.ID(), p.ID(), of.client)
	of.candidate = apptest.One[string](t, admin, `
		INSERT INTO user_profiles (org_id, email, full_name, candidate_status)
		VALUES ($1, $2, 'Cain Candidate', 'active') RETURNING id::text`, p.Organization.ID(), uuid.NewString()+"@candidate.example")
	of.student = apptest.One[string](t, admin, `
		INSERT INTO user_profiles (org_id, email, full_name, student_enrollment_date)
		VALUES ($1, $2, 'Stella Student', '2026-01-01') RETURNING id::text`, p.Organization.ID(), uuid.NewString()+"@student.example")
	of.recruiter = p.ID().String()
	apptest.Exec(t, admin, `INSERT INTO pod_metrics (org_id, month, recruiter_id) VALUES ($1, '2026-01-01', $2) ON CONFLICT DO NOTHING`,
		p.Organization.ID(), p.ID())
	of.event = apptest.One[string](t, admin, `
		INSERT INTO events (org_id, type, payload, created_by, source, correlation_id, status)
		VALUES ($1, 'system.probe', '{"action":"PROBE_ACTION_OK"}', $2, 'api', gen_random_uuid(), 'dead_letter')
		RETURNING id::text`, p.Organization.ID(), p.ID())
	apptest.Exec(t, admin, `
		INSERT INTO event_deliveries (org_id, event_id, handler_name, max_attempts, status)
		VALUES ($1, $2, 'run_probe', 3, 'dead_letter')`, p.Organization.ID(), of.event)
	replay := func(status string) string {
		return apptest.One[string](t, admin, `
			INSERT INTO event_replays (org_id, mode, status, filter, summary, event_count, delivery_count, batch_count, expires_at,
				created_by)
			VALUES ($1, 'failed', $2, '{}', '{}', 1, 1, 1, now() + interval '1 hour', $3) RETURNING id::text`,
			p.Organization.ID(), status, p.ID())
	}
	of.running, of.paused = replay("running"), replay("paused")
	return of
}
