package job_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

func ids(jobs []*jobv1.Job) []string {
	var all []string
	for _, j := range jobs {
		all = append(all, j.GetId())
	}
	return all
}

func titles(jobs []*jobv1.Job) []string {
	var all []string
	for _, j := range jobs {
		all = append(all, j.GetTitle())
	}
	return all
}

func list(t *testing.T, as apptest.Clients, r *jobv1.ListJobsRequest) *jobv1.ListJobsResponse {
	t.Helper()
	response, err := as.Jobs.ListJobs(t.Context(), r)
	require.NoError(t, err)
	return response
}

func titled(title string) func(*jobv1.CreateJobRequest) {
	return func(r *jobv1.CreateJobRequest) { r.Title = title }
}

func TestJobService_ListJobs_Pages(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	rita := env.As(t, "recruiter")
	const count = 23
	var newestFirst []string
	for i := range count {
		newestFirst = append(newestFirst, create(t, rita, titled(fmt.Sprintf("Job %d", i))).GetId())
	}
	slices.Reverse(newestFirst)

	// While the pages are walked, jobs come and go: neither may be seen twice, and none that stays may be missed.
	var walked []string
	request := &jobv1.ListJobsRequest{PageSize: 5}
	for {
		page := list(t, rita, request)
		require.LessOrEqual(t, len(page.GetJobs()), 5)
		walked = append(walked, ids(page.GetJobs())...)
		require.LessOrEqual(t, len(walked), count, "the pages go in circles")
		create(t, rita, titled("Came in between"))
		seen := walked[len(walked)-1]
		_, err := rita.Jobs.DeleteJob(t.Context(), &jobv1.DeleteJobRequest{Id: seen, Version: 1})
		require.NoError(t, err)
		if page.GetNextPageToken() == "" {
			break
		}
		request.PageToken = page.GetNextPageToken()
	}
	require.Equal(t, newestFirst, walked)
}

func TestJobService_ListJobs_PageSize(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, rita := env.Admin(t), env.As(t, "recruiter")
	require.Empty(t, list(t, rita, &jobv1.ListJobsRequest{}).GetJobs())
	apptest.Exec(t, admin, `
		INSERT INTO jobs (org_id, title, description, required_skills, location)
		SELECT o.id, 'Job ' || n, 'One of a hundred and one.', '{Go}', 'Lisbon'
		FROM organizations o, generate_series(1, 101) n WHERE o.slug = 'acme'`)
	for size, want := range map[int32]int{0: 50, 1: 1, 100: 100} {
		page := list(t, rita, &jobv1.ListJobsRequest{PageSize: size})
		require.Len(t, page.GetJobs(), want)
		require.NotEmpty(t, page.GetNextPageToken())
	}
	first := list(t, rita, &jobv1.ListJobsRequest{PageSize: 100})
	last := list(t, rita, &jobv1.ListJobsRequest{PageSize: 100, PageToken: first.GetNextPageToken()})
	require.Len(t, last.GetJobs(), 1)
	require.Empty(t, last.GetNextPageToken())
}

func TestJobService_ListJobs_PageToken(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	rita := env.As(t, "recruiter")
	for range 3 {
		create(t, rita)
	}
	token := list(t, rita, &jobv1.ListJobsRequest{PageSize: 1, Query: "developer"}).GetNextPageToken()
	require.NotEmpty(t, token)
	const (
		others = "page_token: " + "page_token: This page token belongs to other filters. Start again from the first page."
		none   = "page_token: " + "page_token: This is not a page token."
	)
	for name, c := range map[string]struct {
		request *jobv1.ListJobsRequest
		want    string
	}{
		"without the filter": {&jobv1.ListJobsRequest{PageToken: token}, others},
		"another query":      {&jobv1.ListJobsRequest{PageToken: token, Query: "dev"}, others},
		"another status": {
			&jobv1.ListJobsRequest{PageToken: token, Query: "developer", Statuses: []jobv1.JobStatus{1}}, others,
		},
		"another skill":      {&jobv1.ListJobsRequest{PageToken: token, Query: "developer", Skill: "Go"}, others},
		"remote or not":      {&jobv1.ListJobsRequest{PageToken: token, Query: "developer", RemoteAllowed: new(false)}, others},
		"another client":     {&jobv1.ListJobsRequest{PageToken: token, Query: "developer", ClientId: idOf(t, "client")}, others},
		"not base64":         {&jobv1.ListJobsRequest{PageToken: "!"}, none},
		"not JSON":           {&jobv1.ListJobsRequest{PageToken: "AAAA"}, none},
		"an event's, say":    {&jobv1.ListJobsRequest{PageToken: "e30"}, none},
		"one letter changed": {&jobv1.ListJobsRequest{PageToken: "X" + token[1:], Query: "developer"}, none},
	} {
		_, err := rita.Jobs.ListJobs(t.Context(), c.request)
		require.Error(t, err, "%s", name)
		refused(t, err, connect.CodeInvalidArgument, "PAGE_TOKEN_INVALID")
		require.Equal(t, []string{c.want}, violations(err), "%s", name)
	}
	// The order of statuses and the page's size are not filters.
	both := []jobv1.JobStatus{jobv1.JobStatus_JOB_STATUS_OPEN, jobv1.JobStatus_JOB_STATUS_FILLED}
	token = list(t, rita, &jobv1.ListJobsRequest{PageSize: 1, Statuses: both}).GetNextPageToken()
	slices.Reverse(both)
	require.Len(t, list(t, rita, &jobv1.ListJobsRequest{PageToken: token, Statuses: both}).GetJobs(), 2)
}

func TestJobService_ListJobs_Filters(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, rita := env.Admin(t), env.As(t, "recruiter")
	client := idOf(t, "client")
	create(t, rita, titled("open"))
	create(t, rita, titled("remote"), func(r *jobv1.CreateJobRequest) { r.RemoteAllowed = true })
	create(t, rita, titled("client"), func(r *jobv1.CreateJobRequest) { r.ClientId = client })
	create(t, rita, titled("skills"), func(r *jobv1.CreateJobRequest) { r.RequiredSkills = []string{"Gosu", "Éclair"} })
	create(t, rita, titled("closed"), func(r *jobv1.CreateJobRequest) { r.RemoteAllowed = true })
	create(t, rita, titled("filled"), func(r *jobv1.CreateJobRequest) { r.ClientId, r.RemoteAllowed = client, true })
	apptest.Exec(t, admin, `UPDATE jobs SET status = title WHERE title IN ('closed', 'filled')`)
	open, closed, filled := jobv1.JobStatus_JOB_STATUS_OPEN, jobv1.JobStatus_JOB_STATUS_CLOSED, jobv1.JobStatus_JOB_STATUS_FILLED

	for name, c := range map[string]struct {
		request *jobv1.ListJobsRequest
		want    string
	}{
		"None":        {&jobv1.ListJobsRequest{}, "filled closed skills client remote open"},
		"OneStatus":   {&jobv1.ListJobsRequest{Statuses: []jobv1.JobStatus{open}}, "skills client remote open"},
		"TwoStatuses": {&jobv1.ListJobsRequest{Statuses: []jobv1.JobStatus{filled, closed}}, "filled closed"},
		"SameTwice":   {&jobv1.ListJobsRequest{Statuses: []jobv1.JobStatus{filled, filled}}, "filled"},
		"AllStatuses": {
			&jobv1.ListJobsRequest{Statuses: []jobv1.JobStatus{open, filled, closed}}, "filled closed skills client remote open",
		},
		"Client":         {&jobv1.ListJobsRequest{ClientId: client}, "filled client"},
		"ClientInUpper":  {&jobv1.ListJobsRequest{ClientId: strings.ToUpper(client)}, "filled client"},
		"ForeignClient":  {&jobv1.ListJobsRequest{ClientId: idOf(t, "greta@globex.example")}, ""},
		"Skill":          {&jobv1.ListJobsRequest{Skill: " gOSU "}, "skills"},
		"SkillWithMarks": {&jobv1.ListJobsRequest{Skill: "ÉCLAIR"}, "skills"},
		"PartOfASkill":   {&jobv1.ListJobsRequest{Skill: "Gos"}, ""},
		"Remote":         {&jobv1.ListJobsRequest{RemoteAllowed: new(true)}, "filled closed remote"},
		"NotRemote":      {&jobv1.ListJobsRequest{RemoteAllowed: new(false)}, "skills client open"},
		"QueryInTitle":   {&jobv1.ListJobsRequest{Query: "LOSE"}, "closed"},
		"QueryInSkills":  {&jobv1.ListJobsRequest{Query: "gosu"}, "skills"},
		"QueryInPlace":   {&jobv1.ListJobsRequest{Query: "lisBON"}, "filled closed skills client remote open"},
		"EmptyQuery":     {&jobv1.ListJobsRequest{Query: "  "}, "filled closed skills client remote open"},
		"NotDescription": {&jobv1.ListJobsRequest{Query: "event bus"}, ""},
		"Everything": {&jobv1.ListJobsRequest{
			Query: "fill", Statuses: []jobv1.JobStatus{filled, open}, ClientId: client, Skill: "go", RemoteAllowed: new(true),
		}, "filled"},
		"EverythingButOne": {&jobv1.ListJobsRequest{
			Query: "fill", Statuses: []jobv1.JobStatus{closed}, ClientId: client, Skill: "go", RemoteAllowed: new(true),
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, strings.Join(titles(list(t, rita, c.request).GetJobs()), " "))
		})
	}
	t.Run("OtherOrganisation", func(t *testing.T) {
		t.Parallel()
		require.Empty(t, list(t, env.As(t, "greta@globex.example"), &jobv1.ListJobsRequest{}).GetJobs())
	})
	t.Run("DeniedForStudent", func(t *testing.T) {
		t.Parallel()
		_, err := env.As(t, "student").Jobs.ListJobs(t.Context(), &jobv1.ListJobsRequest{})
		refused(t, err, connect.CodePermissionDenied, "PERMISSION_DENIED")
	})
}

// What is typed into a search box is looked for as it stands, in any case.
func TestJobService_ListJobs_Search(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	rita := env.As(t, "recruiter")
	for _, title := range []string{
		`100% remote`, `1000 remote`, `snake_case`, `snakeXcase`, `back\slash`, `backslash`, `O'Brien "quoted"`,
		`Großstadt ÄÖÜ`, `Ñandú ΣΊΣΥΦΟΣ`, `Łódź Ελλάδα`, `🚀 rocket`, `x'); DROP TABLE jobs; --`,
	} {
		create(t, rita, titled(title))
	}
	for query, want := range map[string][]string{
		`0%`:           {`100% remote`},
		`%`:            {`100% remote`},
		`_`:            {`snake_case`},
		`e_c`:          {`snake_case`},
		`\`:            {`back\slash`},
		`k\s`:          {`back\slash`},
		`\\`:           nil,
		`\%`:           nil,
		`o'brien "`:    {`O'Brien "quoted"`},
		`äöü`:          {`Großstadt ÄÖÜ`},
		`ÄÖÜ`:          {`Großstadt ÄÖÜ`},
		`GROß`:         {`Großstadt ÄÖÜ`},
		`ñANDÚ`:        {`Ñandú ΣΊΣΥΦΟΣ`},
		`ŁÓDŹ ελ`:      {`Łódź Ελλάδα`},
		`🚀`:            {`🚀 rocket`},
		`'); drop`:     {`x'); DROP TABLE jobs; --`},
		` 100% remote`: {`100% remote`},
		`.*`:           nil,
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, titles(list(t, rita, &jobv1.ListJobsRequest{Query: query}).GetJobs()))
		})
	}
	t.Run("UpTo200Characters", func(t *testing.T) {
		t.Parallel()
		long := strings.Repeat("ä", 200)
		create(t, rita, titled(long))
		require.Len(t, list(t, rita, &jobv1.ListJobsRequest{Query: long}).GetJobs(), 1)
		_, err := rita.Jobs.ListJobs(t.Context(), &jobv1.ListJobsRequest{Query: long + "ä"})
		invalid(t, err, "query: "+"query: Search for at most 200 characters.")
	})
}
