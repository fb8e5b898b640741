package candidate_test

import (
	"slices"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	candidatev1 "github.com/intime-solutions/intime/gen/go/intime/candidate/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

// names walks the pages of a list and returns the first names.
func names(t *testing.T, as apptest.Clients, r *candidatev1.ListCandidatesRequest) []string {
	t.Helper()
	var all []string
	for range 20 {
		response, err := as.Candidates.ListCandidates(t.Context(), r)
		require.NoError(t, err)
		for _, c := range response.GetCandidates() {
			all = append(all, c.GetFullName())
		}
		if r.PageToken = response.GetNextPageToken(); r.PageToken == "" {
			return all
		}
	}
	t.Fatal("the list does not end")
	return nil
}

func TestCandidateService_ListCandidates(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, rita := env.Admin(t), env.As(t, "recruiter")
	apptest.Exec(t, admin, `UPDATE user_profiles SET candidate_status = NULL WHERE email LIKE '%@acme.example'`)
	for _, c := range []struct {
		name   string
		status candidatev1.CandidateStatus
		years  *int32
		skills []string
	}{
		{"ada", candidatev1.CandidateStatus_CANDIDATE_STATUS_ACTIVE, new(int32(3)), []string{"Go"}},
		{"Bob", candidatev1.CandidateStatus_CANDIDATE_STATUS_BENCH, nil, []string{"100%_Java"}},
		{"cyd", candidatev1.CandidateStatus_CANDIDATE_STATUS_PLACED, new(int32(9)), []string{"GO", "SQL"}},
		{"Dan", candidatev1.CandidateStatus_CANDIDATE_STATUS_ACTIVE, new(int32(0)), nil},
		{"eve", candidatev1.CandidateStatus_CANDIDATE_STATUS_BLACKLISTED, new(int32(3)), []string{"Rust"}},
	} {
		create(t, rita, c.name+"@list.example", func(r *candidatev1.CreateCandidateRequest) {
			r.FullName, r.Status, r.ExperienceYears, r.Skills = c.name, &c.status, c.years, c.skills
		})
	}
	deleted := create(t, rita, "fay@list.example", func(r *candidatev1.CreateCandidateRequest) { r.FullName = "fay" })
	_, err := rita.Candidates.DeleteCandidate(t.Context(), &candidatev1.DeleteCandidateRequest{Id: deleted.GetId(), Version: 1})
	require.NoError(t, err)
	apptest.Exec(t, admin, `UPDATE user_profiles SET candidate_ready_for_placement = true WHERE full_name = 'Bob'`)

	type request = candidatev1.ListCandidatesRequest
	for name, c := range map[string]struct {
		r    *request
		want []string
	}{
		"newest": {&request{}, []string{"eve", "Dan", "cyd", "Bob", "ada"}},
		"newest, said so": {&request{Sort: candidatev1.CandidateSort_CANDIDATE_SORT_NEWEST}, []string{
			"eve", "Dan", "cyd", "Bob",
			"ada",
		}},
		"by name": {&request{Sort: candidatev1.CandidateSort_CANDIDATE_SORT_NAME}, []string{"ada", "Bob", "cyd", "Dan", "eve"}},
		"by experience": {&request{Sort: candidatev1.CandidateSort_CANDIDATE_SORT_EXPERIENCE}, []string{
			"cyd", "eve", "ada",
			"Dan", "Bob",
		}},
		"one status":       {&request{Statuses: []candidatev1.CandidateStatus{1}}, []string{"Dan", "ada"}},
		"two statuses":     {&request{Statuses: []candidatev1.CandidateStatus{3, 2}}, []string{"cyd", "Bob"}},
		"a skill":          {&request{Skill: " gO "}, []string{"cyd", "ada"}},
		"experience":       {&request{MinExperienceYears: new(int32(3))}, []string{"eve", "cyd", "ada"}},
		"ready":            {&request{ReadyForPlacement: new(true)}, []string{"Bob"}},
		"not ready":        {&request{ReadyForPlacement: new(false)}, []string{"eve", "Dan", "cyd", "ada"}},
		"search name":      {&request{Query: "CY"}, []string{"cyd"}},
		"search address":   {&request{Query: "dan@list"}, []string{"Dan"}},
		"search skill":     {&request{Query: "rust"}, []string{"eve"}},
		"search wildcards": {&request{Query: "%_"}, []string{"Bob"}},
		"search nothing":   {&request{Query: "nobody"}, nil},
		"all together": {&request{
			Query: "list", Skill: "go", Statuses: []candidatev1.CandidateStatus{1},
			MinExperienceYears: new(int32(1)),
		}, []string{"ada"}},
	} {
		require.Equal(t, c.want, names(t, rita, c.r), name)
		for _, size := range []int32{1, 2} {
			c.r.PageSize, c.r.PageToken = size, ""
			require.Equal(t, c.want, names(t, rita, c.r), "%s, %d to a page", name, size)
		}
	}
	require.Equal(t, []string{"Gina Candidate"}, names(t, env.As(t, "greta@globex.example"), &request{}))
	// A candidate finds himself.
	apptest.Exec(t, admin, `UPDATE user_profiles SET candidate_status = 'active'
		WHERE email IN ('cara@acme.example', 'carl@acme.example')`)
	require.Equal(t, []string{"Cara Candidate"}, names(t, env.As(t, "cara@acme.example"), &request{}))

	page, err := rita.Candidates.ListCandidates(t.Context(), &request{PageSize: 1, Sort: candidatev1.CandidateSort_CANDIDATE_SORT_NAME})
	require.NoError(t, err)
	_, err = rita.Candidates.ListCandidates(t.Context(), &request{PageToken: page.GetNextPageToken()})
	refused(t, err, connect.CodeInvalidArgument, "PAGE_TOKEN_INVALID")
	for _, r := range []*request{
		{PageSize: 101},
		{Query: string(slices.Repeat([]byte("x"), 201))},
		{Sort: 9},
		{Statuses: []candidatev1.CandidateStatus{0}},
	} {
		_, err = rita.Candidates.ListCandidates(t.Context(), r)
		refused(t, err, connect.CodeInvalidArgument, "INVALID_ARGUMENT")
	}
}
