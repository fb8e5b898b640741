// Package job serves an organisation's jobs, and tells matching candidates about new ones. Start at Service.
package job

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
)

// The reasons of this service's errors.
const (
	ReasonNotFound = "JOB_NOT_FOUND"     // there is no such job in the caller's organisation
	ReasonStale    = "JOB_VERSION_STALE" // the job was changed since the version that the caller names
)

var (
	errNotFound = apierr.NotFound(ReasonNotFound, "job")
	errStale    = apierr.Stale(ReasonStale, "job")
)

// job is a row of the table jobs.
type job struct {
	ID                 uuid.UUID
	ClientID           *uuid.UUID
	Title              string
	Description        string
	RequiredSkills     []string
	ExperienceYearsMin *int32
	ExperienceYearsMax *int32
	SalaryMin          *int64
	SalaryMax          *int64
	SalaryCurrency     *string
	Location           string
	RemoteAllowed      bool
	Status             string
	Version            int64
	CreatedBy          *uuid.UUID
	CreatedAt          time.Time
	UpdatedAt          time.Time
}

func (j *job) proto() *jobv1.Job {
	p := &jobv1.Job{
		Id: j.ID.String(), Title: j.Title, Description: j.Description, RequiredSkills: j.RequiredSkills,
		ExperienceYearsMin: j.ExperienceYearsMin, ExperienceYearsMax: j.ExperienceYearsMax,
		SalaryMin: j.SalaryMin, SalaryMax: j.SalaryMax, Location: j.Location, RemoteAllowed: j.RemoteAllowed,
		Status: enumtext.Value[jobv1.JobStatus](j.Status), Version: j.Version,
		CreatedAt: timestamppb.New(j.CreatedAt), UpdatedAt: timestamppb.New(j.UpdatedAt),
	}
	if j.ClientID != nil {
		p.ClientId = j.ClientID.String()
	}
	if j.SalaryCurrency != nil {
		p.SalaryCurrency = *j.SalaryCurrency
	}
	if j.CreatedBy != nil {
		p.CreatedBy = j.CreatedBy.String()
	}
	return p
}

// check holds the job to the rules between fields, with the ids and sentences that the schema has for them: of an update
// the schema sees only the fields that were sent.
func (j *job) check() error {
	var violations []apierr.Violation
	if j.ExperienceYearsMin != nil && j.ExperienceYearsMax != nil && *j.ExperienceYearsMax < *j.ExperienceYearsMin {
		violations = append(violations, apierr.Violation{
			Field: "experience_years_max", Rule: "experience_years_max.at_least_min",
			Message: "The most experience is not below the least.",
		})
	}
	if j.SalaryMin != nil && j.SalaryMax != nil && *j.SalaryMax < *j.SalaryMin {
		violations = append(violations, apierr.Violation{
			Field: "salary_max", Rule: "salary_max.at_least_min", Message: "The highest salary is not below the lowest.",
		})
	}
	if (j.SalaryMin != nil || j.SalaryMax != nil) && j.SalaryCurrency == nil {
		violations = append(violations, apierr.Violation{
			Field: "salary_currency", Rule: "salary_currency.required", Message: "Say the currency of the salary.",
		})
	}
	if len(violations) > 0 {
		return apierr.Invalid(violations...)
	}
	return nil
}

// checkBlank refuses text that trimming leaves nothing of, with the ids and sentences that the schema has for that: the
// schema knows the blanks of ASCII, trimming those of Unicode. nil is text that was not sent.
func checkBlank(title, location *string, skillsField string, skills []string) error {
	var violations []apierr.Violation
	blame := func(text *string, field, rule, message string) {
		if text != nil && strings.TrimSpace(*text) == "" {
			violations = append(violations, apierr.Violation{Field: field, Rule: rule, Message: message})
		}
	}
	blame(title, "title", "job.title", "Give the job a title of 1 to 200 characters.")
	for i := range skills {
		blame(&skills[i], skillsField+"["+strconv.Itoa(i)+"]", "job.required_skills.length", "A skill has 1 to 100 characters.")
	}
	blame(location, "location", "job.location", "Say where the work is done, in 1 to 200 characters.")
	if len(violations) > 0 {
		return apierr.Invalid(violations...)
	}
	return nil
}

// trimSkills drops blanks around skills and skills that are there already, in any case.
func trimSkills(skills []string) []string {
	var kept []string
	for _, skill := range skills {
		skill = strings.TrimSpace(skill)
		if !slices.ContainsFunc(kept, func(k string) bool { return strings.EqualFold(k, skill) }) {
			kept = append(kept, skill)
		}
	}
	return kept
}

func unknownClient() error {
	return apierr.Invalid(apierr.Violation{
		Field: "client_id", Rule: "job.client_id.unknown", Message: "There is no such client.",
	})
}
