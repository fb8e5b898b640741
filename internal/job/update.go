package job

import (
	"fmt"
	"slices"
	"strings"

	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
)

// clearable is a field that may be empty: whether it was sent, and how to empty it.
type clearable struct {
	field jobv1.UpdateJobRequest_Clearable
	name  string
	sent  func(*jobv1.UpdateJobRequest) bool
	clear func(*job)
}

func clearables() []clearable {
	return []clearable{
		{
			jobv1.UpdateJobRequest_CLEARABLE_CLIENT_ID, "client_id",
			func(r *jobv1.UpdateJobRequest) bool { return r.ClientId != nil },
			func(j *job) { j.ClientID = nil },
		},
		{
			jobv1.UpdateJobRequest_CLEARABLE_EXPERIENCE_YEARS_MIN, "experience_years_min",
			func(r *jobv1.UpdateJobRequest) bool { return r.ExperienceYearsMin != nil },
			func(j *job) { j.ExperienceYearsMin = nil },
		},
		{
			jobv1.UpdateJobRequest_CLEARABLE_EXPERIENCE_YEARS_MAX, "experience_years_max",
			func(r *jobv1.UpdateJobRequest) bool { return r.ExperienceYearsMax != nil },
			func(j *job) { j.ExperienceYearsMax = nil },
		},
		{
			jobv1.UpdateJobRequest_CLEARABLE_SALARY_MIN, "salary_min",
			func(r *jobv1.UpdateJobRequest) bool { return r.SalaryMin != nil },
			func(j *job) { j.SalaryMin = nil },
		},
		{
			jobv1.UpdateJobRequest_CLEARABLE_SALARY_MAX, "salary_max",
			func(r *jobv1.UpdateJobRequest) bool { return r.SalaryMax != nil },
			func(j *job) { j.SalaryMax = nil },
		},
	}
}

// checkCleared refuses an update that sends a field and clears it at once.
func checkCleared(r *jobv1.UpdateJobRequest) error {
	for _, c := range clearables() {
		if slices.Contains(r.GetClear(), c.field) && c.sent(r) {
			return apierr.Invalid(apierr.Violation{
				Field: c.name, Rule: "job.clear_conflict",
				Message: fmt.Sprintf("The field %s is sent and cleared at once. Do one of the two.", c.name),
			})
		}
	}
	return nil
}

// apply changes the stored job as the request says.
func apply(r *jobv1.UpdateJobRequest, stored *job) {
	if r.ClientId != nil {
		stored.ClientID = optionalID(r.GetClientId())
	}
	if r.RequiredSkills != nil {
		stored.RequiredSkills = trimSkills(r.GetRequiredSkills().GetValues())
	}
	if r.Status != nil {
		stored.Status = enumtext.Name(r.GetStatus())
	}
	if r.Title != nil {
		stored.Title = strings.TrimSpace(r.GetTitle())
	}
	if r.Location != nil {
		stored.Location = strings.TrimSpace(r.GetLocation())
	}
	set(&stored.Description, r.Description)
	set(&stored.RemoteAllowed, r.RemoteAllowed)
	setOptional(&stored.ExperienceYearsMin, r.ExperienceYearsMin)
	setOptional(&stored.ExperienceYearsMax, r.ExperienceYearsMax)
	setOptional(&stored.SalaryMin, r.SalaryMin)
	setOptional(&stored.SalaryMax, r.SalaryMax)
	setOptional(&stored.SalaryCurrency, r.SalaryCurrency)
	for _, c := range clearables() {
		if slices.Contains(r.GetClear(), c.field) {
			c.clear(stored)
		}
	}
	if stored.SalaryMin == nil && stored.SalaryMax == nil {
		// A currency without a salary says nothing.
		stored.SalaryCurrency = nil
	}
}

func set[T any](field *T, sent *T) {
	if sent != nil {
		*field = *sent
	}
}

func setOptional[T any](field **T, sent *T) {
	if sent != nil {
		*field = sent
	}
}
