package candidate_test

import (
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	candidatev1 "github.com/intime-solutions/intime/gen/go/intime/candidate/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

func newRequest(email string, change ...func(r *candidatev1.CreateCandidateRequest)) *candidatev1.CreateCandidateRequest {
	r := &candidatev1.CreateCandidateRequest{Email: email, FullName: "Nina New"}
	for _, f := range change {
		f(r)
	}
	return r
}

func create(t *testing.T, as apptest.Clients, email string,
	change ...func(r *candidatev1.CreateCandidateRequest),
) *candidatev1.Candidate {
	t.Helper()
	response, err := as.Candidates.CreateCandidate(t.Context(), newRequest(email, change...))
	require.NoError(t, err)
	return response.GetCandidate()
}

// get is the candidate as the person sees him; nil where he does not.
func get(t *testing.T, as apptest.Clients, id string) *candidatev1.Candidate {
	t.Helper()
	response, err := as.Candidates.GetCandidate(t.Context(), &candidatev1.GetCandidateRequest{Id: id})
	if connect.CodeOf(err) == connect.CodeNotFound {
		return nil
	}
	require.NoError(t, err)
	return response.GetCandidate()
}

func refused(t *testing.T, err error, code connect.Code, reason string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, connect.CodeOf(err), "%v", err)
	require.Equal(t, reason, apptest.Detail(err).GetReason(), "%v", err)
}

// violations are an error's, as "field: rule".
func violations(err error) []string {
	var all []string
	for _, v := range apptest.Detail(err).GetViolations() {
		all = append(all, fmt.Sprintf("%s: %s", v.GetField(), v.GetRule()))
	}
	return all
}

func TestCandidateService_CreateCandidate(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	rita := env.As(t, "recruiter")

	t.Run("Whole", func(t *testing.T) {
		t.Parallel()
		admin := env.Admin(t)
		created := create(t, rita, "  Nina@ACME.example ", func(r *candidatev1.CreateCandidateRequest) {
			r.FullName, r.Phone, r.ResumeUrl = " Nina Ünew ", "+351912345678", "https://example.com/cv?x=1"
			r.Skills, r.ExperienceYears = []string{" Go ", "go", "SQL"}, new(int32(0))
			r.Status = new(candidatev1.CandidateStatus_CANDIDATE_STATUS_BENCH)
		})
		require.Equal(t, "nina@acme.example", created.GetEmail())
		require.Equal(t, "Nina Ünew", created.GetFullName())
		require.Equal(t, "+351912345678", created.GetPhone())
		require.Equal(t, "https://example.com/cv?x=1", created.GetResumeUrl())
		require.Equal(t, []string{"Go", "SQL"}, created.GetSkills())
		require.Equal(t, new(int32(0)), created.ExperienceYears)
		require.Equal(t, candidatev1.CandidateStatus_CANDIDATE_STATUS_BENCH, created.GetStatus())
		require.Equal(t, int64(1), created.GetVersion())
		require.Equal(t, created.String(), get(t, rita, created.GetId()).String())
		require.Nil(t, get(t, env.As(t, "gus@globex.example"), created.GetId()))
		require.Equal(t, []string{"candidate"}, apptest.All[string](t, admin, `SELECT role_name FROM user_roles WHERE user_id = $1`,
			created.GetId()))
		// user.created came with it: he is welcomed.
		apptest.Handled(t, admin, apptest.One[string](t, admin,
			`SELECT id::text FROM events WHERE type = 'user.created' AND payload ->> 'userId' = $1`, created.GetId()))
		require.Equal(t, 1, apptest.One[int](t, admin, `SELECT count(*) FROM outgoing_mails WHERE recipient = 'nina@acme.example'`))
		require.Equal(t, []string{"user.created"}, apptest.All[string](t, admin,
			`SELECT action FROM audit_logs WHERE record_id = $1`, created.GetId()))
	})
	t.Run("Least", func(t *testing.T) {
		t.Parallel()
		created := create(t, env.As(t, "trainer"), "least@acme.example")
		require.Equal(t, candidatev1.CandidateStatus_CANDIDATE_STATUS_ACTIVE, created.GetStatus())
		require.Nil(t, created.ExperienceYears)
		require.Empty(t, created.GetSkills())
		require.Empty(t, created.GetPhone())
	})
	t.Run("AddressTaken", func(t *testing.T) {
		t.Parallel()
		_, err := rita.Candidates.CreateCandidate(t.Context(), newRequest("ANA@acme.example"))
		refused(t, err, connect.CodeAlreadyExists, "USER_EMAIL_TAKEN")
		require.Equal(t, []string{"email: user.email.taken"}, violations(err))
		// In another organisation it is free, and so is that of somebody who was deleted.
		created := create(t, env.As(t, "gus@globex.example"), "ana@acme.example")
		_, err = env.As(t, "gus@globex.example").Candidates.DeleteCandidate(t.Context(),
			&candidatev1.DeleteCandidateRequest{Id: created.GetId(), Version: 1})
		require.NoError(t, err)
		create(t, env.As(t, "gus@globex.example"), "ana@acme.example")
	})
	t.Run("BothOrNeither", func(t *testing.T) {
		t.Parallel()
		admin := env.Admin(t)
		before := apptest.One[int](t, admin, `SELECT count(*) FROM events WHERE type = 'user.created' AND org_id <> (SELECT id
			FROM organizations WHERE slug = 'globex')`)
		_, err := rita.Candidates.CreateCandidate(t.Context(), newRequest("rita@acme.example"))
		require.Error(t, err)
		require.GreaterOrEqual(t, apptest.One[int](t, admin, `SELECT count(*) FROM events WHERE type = 'user.created'`), before)
		require.Zero(t, apptest.One[int](t, admin, `SELECT count(*) FROM events e WHERE type = 'user.created'
			AND NOT EXISTS (SELECT FROM user_profiles p WHERE p.id::text = e.payload ->> 'userId')`))
	})
	t.Run("Denied", func(t *testing.T) {
		t.Parallel()
		for _, role := range []string{"bench_sales", "hr_manager", "student", "candidate", "client", "employee"} {
			_, err := env.As(t, role).Candidates.CreateCandidate(t.Context(), newRequest(role+"@x.example"))
			refused(t, err, connect.CodePermissionDenied, "PERMISSION_DENIED")
		}
	})
}

func TestCandidateService_CreateCandidate_Rules(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	rita := env.As(t, "recruiter")
	long := func(n int) string { return strings.Repeat("x", n) }
	const years = "candidate.experience_years"
	n := 0
	try := func(change func(r *candidatev1.CreateCandidateRequest)) error {
		n++
		_, err := rita.Candidates.CreateCandidate(t.Context(), newRequest(fmt.Sprintf("rule%d@acme.example", n), change))
		return err
	}
	for _, c := range []struct {
		want   string
		change func(r *candidatev1.CreateCandidateRequest)
	}{
		{"email: user.email", func(r *candidatev1.CreateCandidateRequest) { r.Email = "" }},
		{"email: user.email", func(r *candidatev1.CreateCandidateRequest) { r.Email = "nina" }},
		{"email: user.email", func(r *candidatev1.CreateCandidateRequest) { r.Email = "ni na@acme.example" }},
		{"email: user.email", func(r *candidatev1.CreateCandidateRequest) { r.Email = "nina@acme" }},
		{"email: user.email", func(r *candidatev1.CreateCandidateRequest) { r.Email = "a@b@acme.example" }},
		{"email: user.email", func(r *candidatev1.CreateCandidateRequest) { r.Email = "a@acme.example\r\nBcc: x@y.example" }},
		{"email: user.email", func(r *candidatev1.CreateCandidateRequest) { r.Email = long(243) + "@acme.example" }},
		{"full_name: user.full_name", func(r *candidatev1.CreateCandidateRequest) { r.FullName = "" }},
		{"full_name: user.full_name", func(r *candidatev1.CreateCandidateRequest) { r.FullName = " \t" }},
		{"full_name: user.full_name", func(r *candidatev1.CreateCandidateRequest) { r.FullName = "\u2003" }},
		{"full_name: user.full_name", func(r *candidatev1.CreateCandidateRequest) { r.FullName = long(256) }},
		{"phone: user.phone", func(r *candidatev1.CreateCandidateRequest) { r.Phone = "0123" }},
		{"phone: user.phone", func(r *candidatev1.CreateCandidateRequest) { r.Phone = "1" }},
		{"phone: user.phone", func(r *candidatev1.CreateCandidateRequest) { r.Phone = "+1234567890123456" }},
		{"phone: user.phone", func(r *candidatev1.CreateCandidateRequest) { r.Phone = "+351 912" }},
		{"resume_url: candidate.resume_url", func(r *candidatev1.CreateCandidateRequest) { r.ResumeUrl = "javascript:alert(1)" }},
		{"resume_url: candidate.resume_url", func(r *candidatev1.CreateCandidateRequest) { r.ResumeUrl = "https://" }},
		{"resume_url: candidate.resume_url", func(r *candidatev1.CreateCandidateRequest) { r.ResumeUrl = "https://x/" + long(2039) }},
		{"experience_years: " + years, func(r *candidatev1.CreateCandidateRequest) { r.ExperienceYears = new(int32(51)) }},
		{"experience_years: " + years, func(r *candidatev1.CreateCandidateRequest) { r.ExperienceYears = new(int32(-1)) }},
		{"skills: candidate.skills", func(r *candidatev1.CreateCandidateRequest) { r.Skills = strings.Split(long(101), "") }},
		{"skills[1]: candidate.skills.length", func(r *candidatev1.CreateCandidateRequest) { r.Skills = []string{"Go", " "} }},
		{"skills[0]: candidate.skills.length", func(r *candidatev1.CreateCandidateRequest) { r.Skills = []string{"\u2003"} }},
		{"skills[0]: candidate.skills.length", func(r *candidatev1.CreateCandidateRequest) { r.Skills = []string{long(101)} }},
		{"status: enum.defined_only", func(r *candidatev1.CreateCandidateRequest) { r.Status = new(candidatev1.CandidateStatus(9)) }},
		{"status: enum.not_in", func(r *candidatev1.CreateCandidateRequest) { r.Status = new(candidatev1.CandidateStatus(0)) }},
	} {
		err := try(c.change)
		refused(t, err, connect.CodeInvalidArgument, "INVALID_ARGUMENT")
		require.Equal(t, []string{c.want}, violations(err))
	}
	for _, change := range []func(r *candidatev1.CreateCandidateRequest){
		func(r *candidatev1.CreateCandidateRequest) { r.Email = long(241) + "@acme.example" },
		func(r *candidatev1.CreateCandidateRequest) { r.Email = "o'brien+tag@sub.acme-x.example" },
		func(r *candidatev1.CreateCandidateRequest) { r.FullName = strings.Repeat("ü", 255) },
		func(r *candidatev1.CreateCandidateRequest) { r.Phone = "12" },
		func(r *candidatev1.CreateCandidateRequest) { r.Phone = "+123456789012345" },
		func(r *candidatev1.CreateCandidateRequest) { r.ResumeUrl = "http://localhost:8080/cv" },
		func(r *candidatev1.CreateCandidateRequest) { r.ExperienceYears = new(int32(50)) },
	} {
		require.NoError(t, try(change))
	}
}

func TestCandidateService_UpdateCandidate(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	rita := env.As(t, "recruiter")
	update := func(r *candidatev1.UpdateCandidateRequest) (*candidatev1.Candidate, error) {
		response, err := rita.Candidates.UpdateCandidate(t.Context(), r)
		return response.GetCandidate(), err
	}

	t.Run("EveryField", func(t *testing.T) {
		t.Parallel()
		created := create(t, rita, "every@acme.example")
		updated, err := update(&candidatev1.UpdateCandidateRequest{
			Id: created.GetId(), Version: 1, FullName: new(" New Name "), Phone: new("+49123"), ResumeUrl: new("https://example.com/cv"),
			Skills:          &candidatev1.UpdateCandidateRequest_Skills{Values: []string{"Go", "GO"}},
			ExperienceYears: new(int32(7)), Status: new(candidatev1.CandidateStatus_CANDIDATE_STATUS_INACTIVE),
			ReadyForPlacement: new(true),
		})
		require.NoError(t, err)
		require.Equal(t, updated.String(), get(t, rita, created.GetId()).String())
		require.Equal(t, "New Name +49123 https://example.com/cv [Go] 7 true 2", fmt.Sprint(updated.GetFullName(), " ",
			updated.GetPhone(), " ",
			updated.GetResumeUrl(), " ", updated.GetSkills(), " ", updated.GetExperienceYears(), " ",
			updated.GetReadyForPlacement(), " ", updated.GetVersion()))
		require.Equal(t, candidatev1.CandidateStatus_CANDIDATE_STATUS_INACTIVE, updated.GetStatus())

		// What is not sent stays; what is cleared is empty.
		cleared, err := update(&candidatev1.UpdateCandidateRequest{
			Id: created.GetId(), Version: 2, Skills: &candidatev1.UpdateCandidateRequest_Skills{},
			Clear: []candidatev1.UpdateCandidateRequest_Clearable{1, 2, 3},
		})
		require.NoError(t, err)
		require.Equal(t, "New Name", cleared.GetFullName())
		require.Empty(t, cleared.GetPhone()+cleared.GetResumeUrl())
		require.Empty(t, cleared.GetSkills())
		require.Nil(t, cleared.ExperienceYears)
		require.True(t, cleared.GetReadyForPlacement())
	})
	t.Run("Refused", func(t *testing.T) {
		t.Parallel()
		created := create(t, rita, "refused@acme.example")
		_, err := update(&candidatev1.UpdateCandidateRequest{Id: created.GetId(), Version: 2, FullName: new("x")})
		refused(t, err, connect.CodeAborted, "CANDIDATE_VERSION_STALE")
		_, err = update(&candidatev1.UpdateCandidateRequest{Id: created.GetId(), FullName: new("x")})
		require.Equal(t, []string{"version: candidate.version"}, violations(err))
		_, err = update(&candidatev1.UpdateCandidateRequest{
			Id: created.GetId(), Version: 1, Phone: new("+49123"), Clear: []candidatev1.UpdateCandidateRequest_Clearable{1},
		})
		require.Equal(t, []string{"phone: candidate.clear_conflict"}, violations(err))
		_, err = update(&candidatev1.UpdateCandidateRequest{Id: created.GetId(), Version: 1, FullName: new("\u2003")})
		require.Equal(t, []string{"full_name: user.full_name"}, violations(err))
		for _, id := range []string{uuid.NewString(), idOf(t, "gina@globex.example"), idOf(t, "trainer")} {
			_, err = update(&candidatev1.UpdateCandidateRequest{Id: id, Version: 1, FullName: new("x")})
			refused(t, err, connect.CodeNotFound, "CANDIDATE_NOT_FOUND")
		}
		require.Equal(t, created.String(), get(t, rita, created.GetId()).String())
	})
	t.Run("Himself", func(t *testing.T) {
		t.Parallel()
		cara := env.As(t, "cara@acme.example")
		admin := env.Admin(t)
		id := idOf(t, "cara@acme.example")
		self := func(change *candidatev1.UpdateCandidateRequest) error {
			change.Id, change.Version = id, get(t, cara, id).GetVersion()
			_, err := cara.Candidates.UpdateCandidate(t.Context(), change)
			return err
		}
		require.NoError(t, self(&candidatev1.UpdateCandidateRequest{
			Phone: new("+351"), Status: new(candidatev1.CandidateStatus_CANDIDATE_STATUS_INACTIVE), ReadyForPlacement: new(false),
		}))
		refused(t, self(&candidatev1.UpdateCandidateRequest{Status: new(candidatev1.CandidateStatus_CANDIDATE_STATUS_BLACKLISTED)}),
			connect.CodePermissionDenied, "CANDIDATE_STAFF_ONLY")
		refused(t, self(&candidatev1.UpdateCandidateRequest{ReadyForPlacement: new(true)}), connect.CodePermissionDenied,
			"CANDIDATE_STAFF_ONLY")
		apptest.Exec(t, admin, `UPDATE user_profiles SET candidate_status = 'blacklisted' WHERE id = $1`, id)
		refused(t, self(&candidatev1.UpdateCandidateRequest{Status: new(candidatev1.CandidateStatus_CANDIDATE_STATUS_ACTIVE)}),
			connect.CodePermissionDenied, "CANDIDATE_STAFF_ONLY")
		_, err := cara.Candidates.UpdateCandidate(t.Context(), &candidatev1.UpdateCandidateRequest{
			Id:      idOf(t, "carl@acme.example"),
			Version: 1,
		})
		refused(t, err, connect.CodeNotFound, "CANDIDATE_NOT_FOUND")
	})
}

func TestCandidateService_DeleteCandidate(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, rita := env.Admin(t), env.As(t, "recruiter")
	created := create(t, rita, "gone@acme.example")
	remove := func(id string, version int64) error {
		_, err := rita.Candidates.DeleteCandidate(t.Context(), &candidatev1.DeleteCandidateRequest{Id: id, Version: version})
		return err
	}
	refused(t, remove(created.GetId(), 2), connect.CodeAborted, "CANDIDATE_VERSION_STALE")
	require.NoError(t, remove(created.GetId(), 1))
	refused(t, remove(created.GetId(), 2), connect.CodeNotFound, "CANDIDATE_NOT_FOUND")
	require.Nil(t, get(t, rita, created.GetId()))
	require.NotNil(t, apptest.One[*string](t, admin, `SELECT deleted_at::text FROM user_profiles WHERE id = $1`, created.GetId()),
		"the row is kept")
	require.Equal(t, []string{"user.created", "user.deleted"},
		apptest.All[string](t, admin, `SELECT action FROM audit_logs WHERE record_id = $1 ORDER BY id`, created.GetId()))
	refused(t, remove(idOf(t, "gina@globex.example"), 1), connect.CodeNotFound, "CANDIDATE_NOT_FOUND")

	// Who is more than a candidate is not the recruiter's to delete.
	for set, deletable := range map[string]bool{
		"student_enrollment_date = '2026-01-01'":                                         false,
		"student_enrollment_date = '2026-01-01', student_graduation_date = '2026-06-01'": true,
		"employee_hire_date = '2026-01-01'":                                              false,
		"client_company_name = 'Initech'":                                                false,
	} {
		id := addPerson(t, admin, "acme", uuid.NewString()+"@more.example", "candidate_status = 'active', "+set)
		apptest.Exec(t, admin, `INSERT INTO user_roles (org_id, user_id, role_name)
			SELECT org_id, id, unnest('{candidate,student}'::text[]) FROM user_profiles WHERE id = $1`, id)
		if deletable {
			require.NoError(t, remove(id, 1), set)
		} else {
			refused(t, remove(id, 1), connect.CodeFailedPrecondition, "CANDIDATE_NOT_ONLY")
		}
	}
	apptest.Exec(t, admin, `UPDATE user_profiles SET candidate_status = 'active' WHERE email = 'ana@acme.example'`)
	refused(t, remove(idOf(t, "admin"), 1), connect.CodeFailedPrecondition, "CANDIDATE_NOT_ONLY")
}
