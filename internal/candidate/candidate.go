// Package candidate serves an organisation's candidates: who they are, where they were placed, and how that goes. It makes
// candidates of graduates. Start at Service.
package candidate

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	candidatev1 "github.com/intime-solutions/intime/gen/go/intime/candidate/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
)

// The reasons of this service's errors.
const (
	ReasonNotFound     = "CANDIDATE_NOT_FOUND"     // there is no such candidate in the caller's organisation
	ReasonStale        = "CANDIDATE_VERSION_STALE" // the candidate was changed since the version that the caller names
	ReasonStaffOnly    = "CANDIDATE_STAFF_ONLY"    // a candidate changes of himself what the staff decides
	ReasonNotAvailable = "CANDIDATE_NOT_AVAILABLE" // the candidate is placed already, or blacklisted
	ReasonJobNotOpen   = "JOB_NOT_OPEN"            // the job is closed or filled
	ReasonNotOnly      = "CANDIDATE_NOT_ONLY"      // the person is more than a candidate and cannot be deleted as one
)

var (
	errNotFound     = apierr.NotFound(ReasonNotFound, "candidate")
	errStale        = apierr.Stale(ReasonStale, "candidate")
	errNotAvailable = apierr.New(connect.CodeFailedPrecondition, ReasonNotAvailable,
		"This candidate cannot be placed: he is placed already, or blacklisted.")
	errJobNotOpen = apierr.New(connect.CodeFailedPrecondition, ReasonJobNotOpen, "This job is not open any more.")
	errNotOnly    = apierr.New(connect.CodeFailedPrecondition, ReasonNotOnly,
		"This person is more than a candidate. Set the candidate's status to inactive instead.")
)

// The statuses that the code decides by.
const (
	statusActive      = "active"
	statusPlaced      = "placed"
	statusBlacklisted = "blacklisted"
)

// candidate is the part of a row of user_profiles that makes the person a candidate.
type candidate struct {
	ID                uuid.UUID
	Email             string
	FullName          string
	AvatarURL         *string
	Phone             *string
	Status            string
	ResumeURL         *string
	Skills            []string
	ExperienceYears   *int32
	ReadyForPlacement bool
	Version           int64
	CreatedAt         time.Time
	UpdatedAt         time.Time
}

func (c *candidate) proto() *candidatev1.Candidate {
	return &candidatev1.Candidate{
		Id: c.ID.String(), Email: c.Email, FullName: c.FullName, AvatarUrl: value(c.AvatarURL), Phone: value(c.Phone),
		Status: enumtext.Value[candidatev1.CandidateStatus](c.Status), ResumeUrl: value(c.ResumeURL), Skills: c.Skills,
		ExperienceYears: c.ExperienceYears, ReadyForPlacement: c.ReadyForPlacement, Version: c.Version,
		CreatedAt: timestamppb.New(c.CreatedAt), UpdatedAt: timestamppb.New(c.UpdatedAt),
	}
}

// checkSkills refuses a skill that trimming leaves nothing of, with the id and sentence that the schema has for that: the
// schema knows the blanks of ASCII, trimming those of Unicode.
func checkSkills(field string, skills []string) error {
	for i, skill := range skills {
		if strings.TrimSpace(skill) == "" {
			return apierr.Invalid(apierr.Violation{
				Field: field + "[" + strconv.Itoa(i) + "]", Rule: "candidate.skills.length", Message: "A skill has 1 to 100 characters.",
			})
		}
	}
	return nil
}

// trimSkills drops blanks around skills and skills that are there already, in any case.
func trimSkills(skills []string) []string {
	kept := []string{}
	for _, skill := range skills {
		skill = strings.TrimSpace(skill)
		if !slices.ContainsFunc(kept, func(k string) bool { return strings.EqualFold(k, skill) }) {
			kept = append(kept, skill)
		}
	}
	return kept
}

func staffOnly(field, message string) error {
	e := apierr.New(connect.CodePermissionDenied, ReasonStaffOnly, "%s", message)
	e.Violations = []apierr.Violation{{Field: field, Rule: "candidate." + field + ".staff_only", Message: message}}
	return e
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
