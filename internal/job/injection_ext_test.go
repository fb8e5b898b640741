package job_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

// nasty is text that has broken other programs.
var nasty = []string{
	`'; DROP TABLE jobs; --`, `" OR ""="`, `\`, `\'`, `\\"`, `$1`, `$$`, `$body$`, `@query`, `%s%n`, `{{.Title}}`, `${jndi:ldap://x}`,
	`<script>alert(1)</script>`, `&lt;`, `a,b;"c"`, `{"a":1}`, `{a,b}`, `ARRAY['x']`, `NULL`, `null`, `undefined`,
	"line\nbreak", "carriage\r\nreturn", "tab\there", "\u202eright to left", "zero\u200bwidth", "\ufeffmark", "e\u0301 ≠ é",
	`👩‍👩‍👧‍👦`, `𝔘𝔫𝔦𝔠𝔬𝔡𝔢`, "\u0001control\u001f", "\u007f", "\ufffe", "İıſß", `../../etc/passwd`, "=1+1", "@SUM(1)",
}

func TestJobService_KeepsTextAsItIs(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, rita := env.Admin(t), env.As(t, "recruiter")
	for _, text := range nasty {
		title := "<" + text + ">" // blanks at the ends would go, and that is another test
		created := create(t, rita, func(r *jobv1.CreateJobRequest) {
			r.Title, r.Description, r.Location, r.RequiredSkills = title, title+" and more", title, []string{title}
		})
		updated, err := rita.Jobs.UpdateJob(t.Context(), &jobv1.UpdateJobRequest{
			Id: created.GetId(), Version: 1, Title: new(title + "!"), Description: new(title + " and less"),
			Location: new(title + "?"), RequiredSkills: &jobv1.UpdateJobRequest_RequiredSkills{Values: []string{title, "Go"}},
		})
		require.NoError(t, err, "%q", text)
		want := proto.CloneOf(created)
		want.Title, want.Description, want.Location = title+"!", title+" and less", title+"?"
		want.RequiredSkills, want.Version, want.UpdatedAt = []string{title, "Go"}, 2, updated.GetJob().GetUpdatedAt()
		require.Equal(t, title, created.GetTitle())
		require.Equal(t, want.String(), get(t, rita, created.GetId()).String(), "%q", text)
		require.Contains(t, ids(list(t, rita, &jobv1.ListJobsRequest{Query: text}).GetJobs()), created.GetId(), "search for %q", text)
		require.Contains(t, ids(list(t, rita, &jobv1.ListJobsRequest{Skill: title}).GetJobs()), created.GetId(), "skill %q", text)
		require.Equal(t, title, apptest.One[string](t, admin,
			`SELECT payload ->> 'title' FROM events WHERE payload ->> 'jobId' = $1`, created.GetId()))
	}
	require.Equal(t, int64(len(nasty)), apptest.One[int64](t, admin, `SELECT count(*) FROM jobs`))
}

// U+0000 is text that Postgres cannot store: it is refused by name, in binary and in JSON.
func TestJobService_RefusesNUL(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	rita, token := env.As(t, "recruiter"), env.Token(t, "recruiter")
	const nul = "a\x00b"
	for field, request := range map[string]proto.Message{
		"title":                     newRequest(func(r *jobv1.CreateJobRequest) { r.Title = nul }),
		"description":               newRequest(func(r *jobv1.CreateJobRequest) { r.Description = nul + " and more" }),
		"location":                  newRequest(func(r *jobv1.CreateJobRequest) { r.Location = nul }),
		"required_skills[1]":        newRequest(func(r *jobv1.CreateJobRequest) { r.RequiredSkills = []string{"Go", nul} }),
		"client_id":                 newRequest(func(r *jobv1.CreateJobRequest) { r.ClientId = nul }),
		"salary_currency":           newRequest(func(r *jobv1.CreateJobRequest) { r.SalaryCurrency = nul }),
		"required_skills.values[0]": &jobv1.UpdateJobRequest{RequiredSkills: &jobv1.UpdateJobRequest_RequiredSkills{Values: []string{nul}}},
		"query":                     &jobv1.ListJobsRequest{Query: nul},
		"skill":                     &jobv1.ListJobsRequest{Skill: nul},
		"page_token":                &jobv1.ListJobsRequest{PageToken: nul},
		"id":                        &jobv1.GetJobRequest{Id: nul},
	} {
		want := field + ": string.no_nul: Text may not contain the character U+0000."
		invalid(t, send(context.WithoutCancel(t.Context()), rita, request), want)
	}
	answer := env.Call(t, token, "/intime.job.v1.JobService/ListJobs", `{"query":"a\u0000b"}`)
	require.Equal(t, http.StatusBadRequest, answer.Code)
	require.Equal(t, "INVALID_ARGUMENT", apptest.Reason(t, answer))
}

// Whatever is not a request is answered as one, and never with a fault of the server's.
func TestJobService_MalformedRequests(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	token := env.Token(t, "recruiter")
	for _, body := range []string{
		``, `{`, `[]`, `null`, `"text"`, `{"title":1}`, `{"title":["a"]}`, `{"required_skills":"Go"}`, `{"salary_min":"many"}`,
		`{"salary_min":1.5}`, `{"salary_min":1e300}`, `{"experience_years_min":99999999999}`, `{"no_such_field":1}`,
		`{"title":"a","title":"b"}`, "{\"title\":\"\xff\"}", `{"title":"\ud800"}`, `{"remote_allowed":"yes"}`,
	} {
		answer := env.Call(t, token, "/intime.job.v1.JobService/CreateJob", body)
		require.Equal(t, http.StatusBadRequest, answer.Code, "%s: %s", body, answer.Body)
		require.True(t, json.Valid(answer.Body.Bytes()))
		require.NotEmpty(t, apptest.Reason(t, answer), "%s", body)
	}
}
