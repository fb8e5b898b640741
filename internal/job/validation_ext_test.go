package job_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

// What each rule says to a person.
const (
	clientID   = "client_id: job.client_id: This is not the id of a client."
	jobID      = "id: job.id: This is not the id of a job."
	title      = "title: job.title: Give the job a title of 1 to 200 characters."
	text       = "description: job.description: Describe the job in 10 to 20,000 characters."
	location   = "location: job.location: Say where the work is done, in 1 to 200 characters."
	experience = "Experience is between 0 and 100 years."
	salary     = "A salary is above 0 and at most 1,000,000,000,000."
	currency   = "salary_currency: job.salary_currency: A currency is three capital letters, for example EUR."
	noCurrency = "salary_currency: salary_currency.required: Say the currency of the salary."
	skillCount = "job.required_skills: Name 1 to 50 skills."
	skillSize  = "job.required_skills.length: A skill has 1 to 100 characters."
	expOrder   = "experience_years_max: experience_years_max.at_least_min: The most experience is not below the least."
	payOrder   = "salary_max: salary_max.at_least_min: The highest salary is not below the lowest."
	version    = "version: job.version: Say which version of the job "
	pageSize   = "page_size: " + "page_size: A page has at most 100 entries."
)

type ruleCase struct {
	request proto.Message
	want    []string
}

func broken(request proto.Message, want ...string) ruleCase {
	return ruleCase{request: request, want: want}
}

func createWith(change func(r *jobv1.CreateJobRequest)) proto.Message { return newRequest(change) }

func updateWith(change func(r *jobv1.UpdateJobRequest)) proto.Message {
	r := &jobv1.UpdateJobRequest{Id: uuid.NewString(), Version: 1}
	change(r)
	return r
}

func many(n int) []string { return slices.Repeat([]string{"Go"}, n) }

func brokenCreates() map[string]ruleCase {
	type r = *jobv1.CreateJobRequest
	long := strings.Repeat("é", 201)
	return map[string]ruleCase{
		"NoTitle":             broken(createWith(func(r r) { r.Title = "" }), title),
		"BlankTitle":          broken(createWith(func(r r) { r.Title = " \t\n" }), title),
		"TitleOfNoBreakSpace": broken(createWith(func(r r) { r.Title = "\u00a0\u3000" }), title),
		"LongTitle":           broken(createWith(func(r r) { r.Title = long }), title),
		"NoDescription":       broken(createWith(func(r r) { r.Description = "" }), text),
		"ShortDescription":    broken(createWith(func(r r) { r.Description = "123456789" }), text),
		"BlankDescription":    broken(createWith(func(r r) { r.Description = strings.Repeat(" ", 10) }), text),
		"LongDescription":     broken(createWith(func(r r) { r.Description = strings.Repeat("é", 20_001) }), text),
		"NoSkills":            broken(createWith(func(r r) { r.RequiredSkills = nil }), "required_skills: "+skillCount),
		"51Skills":            broken(createWith(func(r r) { r.RequiredSkills = many(51) }), "required_skills: "+skillCount),
		"EmptySkill": broken(createWith(func(r r) { r.RequiredSkills = []string{"Go", "", " "} }),
			"required_skills[1]: "+skillSize, "required_skills[2]: "+skillSize),
		"SkillOfNoBreakSpace": broken(createWith(func(r r) { r.RequiredSkills = []string{"Go", "\u00a0"} }),
			"required_skills[1]: "+skillSize),
		"LongSkill": broken(createWith(func(r r) { r.RequiredSkills = []string{strings.Repeat("é", 101)} }),
			"required_skills[0]: "+skillSize),
		"NoLocation":             broken(createWith(func(r r) { r.Location = "" }), location),
		"BlankLocation":          broken(createWith(func(r r) { r.Location = " " }), location),
		"LocationOfNoBreakSpace": broken(createWith(func(r r) { r.Location = "\u2003" }), location),
		"LongLocation":           broken(createWith(func(r r) { r.Location = long }), location),
		"ClientIsNoID":           broken(createWith(func(r r) { r.ClientId = "initech" }), clientID),
		"ClientInBraces":         broken(createWith(func(r r) { r.ClientId = "{" + uuid.NewString() + "}" }), clientID),
		"ExperienceMinBelow0": broken(createWith(func(r r) { r.ExperienceYearsMin = new(int32(-1)) }),
			"experience_years_min: job.experience_years_min: "+experience),
		"ExperienceMinAbove100": broken(createWith(func(r r) { r.ExperienceYearsMin = new(int32(101)) }),
			"experience_years_min: job.experience_years_min: "+experience),
		"ExperienceMaxBelow0": broken(createWith(func(r r) { r.ExperienceYearsMax = new(int32(-1)) }),
			"experience_years_max: job.experience_years_max: "+experience),
		"ExperienceMaxAbove100": broken(createWith(func(r r) { r.ExperienceYearsMax = new(int32(101)) }),
			"experience_years_max: job.experience_years_max: "+experience),
		"ExperienceMaxBelowMin": broken(createWith(func(r r) {
			r.ExperienceYearsMin, r.ExperienceYearsMax = new(int32(5)), new(int32(4))
		}), expOrder),
		"ExperienceMaxOf0": broken(createWith(func(r r) {
			r.ExperienceYearsMin, r.ExperienceYearsMax = new(int32(5)), new(int32(0))
		}), expOrder),
		"SalaryMinOf0": broken(createWith(func(r r) { r.SalaryMin, r.SalaryCurrency = new(int64(0)), "EUR" }),
			"salary_min: job.salary_min: "+salary),
		"SalaryMinTooHigh": broken(createWith(func(r r) { r.SalaryMin, r.SalaryCurrency = new(int64(1_000_000_000_001)), "EUR" }),
			"salary_min: job.salary_min: "+salary),
		"SalaryMaxBelow0": broken(createWith(func(r r) { r.SalaryMax, r.SalaryCurrency = new(int64(-1)), "EUR" }),
			"salary_max: job.salary_max: "+salary),
		"SalaryMaxTooHigh": broken(createWith(func(r r) { r.SalaryMax, r.SalaryCurrency = new(int64(1_000_000_000_001)), "EUR" }),
			"salary_max: job.salary_max: "+salary),
		"SalaryMaxBelowMin": broken(createWith(func(r r) {
			r.SalaryMin, r.SalaryMax, r.SalaryCurrency = new(int64(2)), new(int64(1)), "EUR"
		}), payOrder),
		"SalaryMinWithoutCurrency": broken(createWith(func(r r) { r.SalaryMin = new(int64(1)) }), noCurrency),
		"SalaryMaxWithoutCurrency": broken(createWith(func(r r) { r.SalaryMax = new(int64(1)) }), noCurrency),
		"CurrencyInLowerCase":      broken(createWith(func(r r) { r.SalaryCurrency = "eur" }), currency),
		"CurrencyWithLineBreak":    broken(createWith(func(r r) { r.SalaryCurrency = "EUR\n" }), currency),
		"SeveralAtOnce": broken(createWith(func(r r) { r.Title, r.Location, r.SalaryMin = "", "", new(int64(1)) }),
			noCurrency, title, location),
	}
}

func brokenUpdates() map[string]ruleCase {
	type r = *jobv1.UpdateJobRequest
	skills := func(values ...string) *jobv1.UpdateJobRequest_RequiredSkills {
		return &jobv1.UpdateJobRequest_RequiredSkills{Values: values}
	}
	return map[string]ruleCase{
		"NoID":                broken(updateWith(func(r r) { r.Id = "" }), jobID),
		"NoVersion":           broken(updateWith(func(r r) { r.Version = 0 }), version+"the change was made from."),
		"BadClient":           broken(updateWith(func(r r) { r.ClientId = new("initech") }), clientID),
		"EmptyClient":         broken(updateWith(func(r r) { r.ClientId = new("") }), clientID),
		"EmptyTitle":          broken(updateWith(func(r r) { r.Title = new("") }), title),
		"TitleOfNoBreakSpace": broken(updateWith(func(r r) { r.Title = new("\u00a0") }), title),
		"SkillOfNoBreakSpace": broken(updateWith(func(r r) { r.RequiredSkills = skills("Go", "go", "\u3000") }),
			"required_skills.values[2]: "+skillSize),
		"LocationOfNoBreakSpace": broken(updateWith(func(r r) { r.Location = new("\u2003") }), location),
		"LongTitle":              broken(updateWith(func(r r) { r.Title = new(strings.Repeat("é", 201)) }), title),
		"EmptyDescription":       broken(updateWith(func(r r) { r.Description = new("") }), text),
		"NoSkills":               broken(updateWith(func(r r) { r.RequiredSkills = skills() }), "required_skills.values: "+skillCount),
		"51Skills": broken(updateWith(func(r r) { r.RequiredSkills = skills(many(51)...) }),
			"required_skills.values: "+skillCount),
		"EmptySkill": broken(updateWith(func(r r) { r.RequiredSkills = skills("") }), "required_skills.values[0]: "+skillSize),
		"ExperienceMin": broken(updateWith(func(r r) { r.ExperienceYearsMin = new(int32(-1)) }),
			"experience_years_min: job.experience_years_min: "+experience),
		"ExperienceMax": broken(updateWith(func(r r) { r.ExperienceYearsMax = new(int32(101)) }),
			"experience_years_max: job.experience_years_max: "+experience),
		"SalaryMin":     broken(updateWith(func(r r) { r.SalaryMin = new(int64(0)) }), "salary_min: job.salary_min: "+salary),
		"SalaryMax":     broken(updateWith(func(r r) { r.SalaryMax = new(int64(0)) }), "salary_max: job.salary_max: "+salary),
		"Currency":      broken(updateWith(func(r r) { r.SalaryCurrency = new("") }), currency),
		"EmptyLocation": broken(updateWith(func(r r) { r.Location = new(" ") }), location),
		"NoStatus": broken(updateWith(func(r r) { r.Status = new(jobv1.JobStatus_JOB_STATUS_UNSPECIFIED) }),
			"status: enum.not_in: must not be in list [0]"),
		"UnknownStatus": broken(updateWith(func(r r) { r.Status = new(jobv1.JobStatus(9)) }),
			"status: enum.defined_only: value must be one of the defined enum values"),
		"ClearNothing": broken(updateWith(func(r r) { r.Clear = []jobv1.UpdateJobRequest_Clearable{0} }),
			"clear[0]: enum.not_in: must not be in list [0]"),
		"ClearUnknown": broken(updateWith(func(r r) { r.Clear = []jobv1.UpdateJobRequest_Clearable{9} }),
			"clear[0]: enum.defined_only: value must be one of the defined enum values"),
		"ClearTwice": broken(updateWith(func(r r) { r.Clear = []jobv1.UpdateJobRequest_Clearable{1, 1} }),
			"clear: repeated.unique: repeated value must contain unique items"),
		"ClearTooMuch": broken(updateWith(func(r r) { r.Clear = []jobv1.UpdateJobRequest_Clearable{1, 2, 3, 4, 5, 1} }),
			"clear: repeated.max_items: must contain no more than 5 item(s)",
			"clear: repeated.unique: repeated value must contain unique items"),
	}
}

func brokenOthers() map[string]ruleCase {
	type r = *jobv1.ListJobsRequest
	listWith := func(change func(r r)) proto.Message {
		r := &jobv1.ListJobsRequest{}
		change(r)
		return r
	}
	return map[string]ruleCase{
		"GetNoID":         broken(&jobv1.GetJobRequest{}, jobID),
		"GetIDWithBlank":  broken(&jobv1.GetJobRequest{Id: uuid.NewString() + " "}, jobID),
		"DeleteNoID":      broken(&jobv1.DeleteJobRequest{Version: 1}, jobID),
		"DeleteNoVersion": broken(&jobv1.DeleteJobRequest{Id: uuid.NewString()}, version+"is to be deleted."),
		"PageOf101":       broken(listWith(func(r r) { r.PageSize = 101 }), pageSize),
		"PageOfMinus1":    broken(listWith(func(r r) { r.PageSize = -1 }), pageSize),
		"LongToken": broken(listWith(func(r r) { r.PageToken = strings.Repeat("a", 1025) }),
			"page_token: string.max_len: must be at most 1024 characters"),
		"LongQuery": broken(listWith(func(r r) { r.Query = strings.Repeat("a", 201) }),
			"query: "+"query: Search for at most 200 characters."),
		"LongSkill": broken(listWith(func(r r) { r.Skill = strings.Repeat("a", 101) }),
			"skill: string.max_len: must be at most 100 characters"),
		"FourStatuses": broken(listWith(func(r r) { r.Statuses = []jobv1.JobStatus{1, 2, 3, 1} }),
			"statuses: repeated.max_items: must contain no more than 3 item(s)"),
		"NoStatus": broken(listWith(func(r r) { r.Statuses = []jobv1.JobStatus{0} }),
			"statuses[0]: enum.not_in: must not be in list [0]"),
		"UnknownStatus": broken(listWith(func(r r) { r.Statuses = []jobv1.JobStatus{9} }),
			"statuses[0]: enum.defined_only: value must be one of the defined enum values"),
		"BadClient": broken(listWith(func(r r) { r.ClientId = "initech" }), clientID),
	}
}

func send(ctx context.Context, as apptest.Clients, request proto.Message) (err error) {
	switch r := request.(type) {
	case *jobv1.CreateJobRequest:
		_, err = as.Jobs.CreateJob(ctx, r)
	case *jobv1.UpdateJobRequest:
		_, err = as.Jobs.UpdateJob(ctx, r)
	case *jobv1.GetJobRequest:
		_, err = as.Jobs.GetJob(ctx, r)
	case *jobv1.DeleteJobRequest:
		_, err = as.Jobs.DeleteJob(ctx, r)
	case *jobv1.ListJobsRequest:
		_, err = as.Jobs.ListJobs(ctx, r)
	default:
		err = errors.New("no such request")
	}
	return err
}

func TestJobService_Rules(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	rita := env.As(t, "recruiter")
	tried := map[string]bool{}
	for group, cases := range map[string]map[string]ruleCase{
		"Create": brokenCreates(), "Update": brokenUpdates(), "Others": brokenOthers(),
	} {
		for name, c := range cases {
			for _, want := range c.want {
				tried[string(c.request.ProtoReflect().Descriptor().Name())+" "+strings.Split(want, ": ")[1]] = true
			}
			t.Run(group+name, func(t *testing.T) {
				t.Parallel()
				invalid(t, send(t.Context(), rita, c.request), c.want...)
			})
		}
	}
	// Every rule of the schema was tried.
	methods := jobv1.File_intime_job_v1_job_service_proto.Services().ByName("JobService").Methods()
	for i := range methods.Len() {
		input := methods.Get(i).Input()
		for _, rule := range rulesOf(input) {
			require.True(t, tried[string(input.Name())+" "+rule], "%s has a rule %s that no case breaks", input.Name(), rule)
		}
	}
}

// rulesOf are the ids of the rules with a message of their own, of the message and of the messages in it.
func rulesOf(message protoreflect.MessageDescriptor) []string {
	var all []string
	if rules, ok := proto.GetExtension(message.Options(), validate.E_Message).(*validate.MessageRules); ok {
		for _, rule := range rules.GetCel() {
			all = append(all, rule.GetId())
		}
	}
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		if rules, ok := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules); ok {
			for _, rule := range append(rules.GetCel(), rules.GetRepeated().GetItems().GetCel()...) {
				all = append(all, rule.GetId())
			}
		}
		if inner := field.Message(); inner != nil && inner.ParentFile() == message.ParentFile() {
			all = append(all, rulesOf(inner)...)
		}
	}
	return all
}

// What is just within the bounds is taken.
func TestJobService_CreateJob_Bounds(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	rita := env.As(t, "recruiter")
	for name, change := range map[string]func(r *jobv1.CreateJobRequest){
		"Shortest": func(r *jobv1.CreateJobRequest) {
			r.Title, r.Description, r.Location, r.RequiredSkills = "a", "1234567890", "b", []string{"c"}
		},
		"Longest": func(r *jobv1.CreateJobRequest) {
			r.Title, r.Description, r.Location = strings.Repeat("🚀", 200), strings.Repeat("é", 20_000), strings.Repeat("ß", 200)
			r.RequiredSkills = nil
			for i := range 50 {
				r.RequiredSkills = append(r.RequiredSkills, strings.Repeat(string(rune('一'+i)), 100))
			}
		},
		"Lowest": func(r *jobv1.CreateJobRequest) {
			r.ExperienceYearsMin, r.ExperienceYearsMax = new(int32(0)), new(int32(0))
			r.SalaryMin, r.SalaryMax, r.SalaryCurrency = new(int64(1)), new(int64(1)), "EUR"
		},
		"Highest": func(r *jobv1.CreateJobRequest) {
			r.ExperienceYearsMin, r.ExperienceYearsMax = new(int32(100)), new(int32(100))
			r.SalaryMin, r.SalaryMax, r.SalaryCurrency = new(int64(1e12)), new(int64(1e12)), "JPY"
		},
		"OnlyMax": func(r *jobv1.CreateJobRequest) {
			r.ExperienceYearsMax, r.SalaryMax, r.SalaryCurrency = new(int32(0)), new(int64(1)), "EUR"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRequest(change)
			created := create(t, rita, change)
			require.Equal(t, r.GetTitle(), created.GetTitle())
			require.Equal(t, r.GetDescription(), created.GetDescription())
			require.Equal(t, r.GetRequiredSkills(), created.GetRequiredSkills())
			require.Equal(t, r.ExperienceYearsMin, created.ExperienceYearsMin)
			require.Equal(t, r.ExperienceYearsMax, created.ExperienceYearsMax)
			require.Equal(t, r.SalaryMin, created.SalaryMin)
			require.Equal(t, r.SalaryMax, created.SalaryMax)
		})
	}
}
