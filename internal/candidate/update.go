package candidate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	candidatev1 "github.com/intime-solutions/intime/gen/go/intime/candidate/v1"
	"github.com/intime-solutions/intime/internal/person"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// UpdateCandidate changes the fields that are sent and leaves the others as they are.
func (s *Service) UpdateCandidate(
	ctx context.Context, r *candidatev1.UpdateCandidateRequest,
) (*candidatev1.UpdateCandidateResponse, error) {
	if err := checkUpdate(r); err != nil {
		return nil, err
	}
	var updated *candidate
	err := s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		stored, err := lockCandidate(ctx, tx, r.GetId(), r.GetVersion())
		if err != nil {
			return err
		}
		if err := checkStaff(ctx, r, stored); err != nil {
			return err
		}
		apply(r, stored)
		updated, err = updateCandidate(ctx, tx, stored)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &candidatev1.UpdateCandidateResponse{Candidate: updated.proto()}, nil
}

// clearable is a field that may be empty: whether it was sent, and how to empty it.
type clearable struct {
	field candidatev1.UpdateCandidateRequest_Clearable
	name  string
	sent  func(*candidatev1.UpdateCandidateRequest) bool
	clear func(*candidate)
}

func clearables() []clearable {
	return []clearable{
		{
			candidatev1.UpdateCandidateRequest_CLEARABLE_PHONE, "phone",
			func(r *candidatev1.UpdateCandidateRequest) bool { return r.Phone != nil },
			func(c *candidate) { c.Phone = nil },
		},
		{
			candidatev1.UpdateCandidateRequest_CLEARABLE_RESUME_URL, "resume_url",
			func(r *candidatev1.UpdateCandidateRequest) bool { return r.ResumeUrl != nil },
			func(c *candidate) { c.ResumeURL = nil },
		},
		{
			candidatev1.UpdateCandidateRequest_CLEARABLE_EXPERIENCE_YEARS, "experience_years",
			func(r *candidatev1.UpdateCandidateRequest) bool { return r.ExperienceYears != nil },
			func(c *candidate) { c.ExperienceYears = nil },
		},
	}
}

// checkUpdate refuses an update that sends a field and clears it at once, and blank text.
func checkUpdate(r *candidatev1.UpdateCandidateRequest) error {
	for _, c := range clearables() {
		if slices.Contains(r.GetClear(), c.field) && c.sent(r) {
			return apierr.Invalid(apierr.Violation{
				Field: c.name, Rule: "candidate.clear_conflict",
				Message: fmt.Sprintf("The field %s is sent and cleared at once. Do one of the two.", c.name),
			})
		}
	}
	if err := person.CheckName(r.FullName); err != nil {
		return err
	}
	return checkSkills("skills.values", r.GetSkills().GetValues())
}

// checkStaff keeps a candidate from deciding of himself what the staff decides.
func checkStaff(ctx context.Context, r *candidatev1.UpdateCandidateRequest, stored *candidate) error {
	p, ok := principal.From(ctx)
	if !ok {
		return postgres.ErrNoTenant
	}
	if p.CanAll("candidate:update") {
		return nil
	}
	if r.Status != nil {
		wanted := enumtext.Name(r.GetStatus())
		if wanted != stored.Status && (wanted == statusBlacklisted || stored.Status == statusBlacklisted) {
			return staffOnly("status", "Only the staff decides who is blacklisted.")
		}
	}
	if r.ReadyForPlacement != nil && r.GetReadyForPlacement() != stored.ReadyForPlacement {
		return staffOnly("ready_for_placement", "Only the staff decides who is ready for placement.")
	}
	return nil
}

// apply changes the stored candidate as the request says.
func apply(r *candidatev1.UpdateCandidateRequest, stored *candidate) {
	if r.FullName != nil {
		stored.FullName = strings.TrimSpace(r.GetFullName())
	}
	if r.Phone != nil {
		stored.Phone = r.Phone
	}
	if r.ResumeUrl != nil {
		stored.ResumeURL = r.ResumeUrl
	}
	if r.Skills != nil {
		stored.Skills = trimSkills(r.GetSkills().GetValues())
	}
	if r.ExperienceYears != nil {
		stored.ExperienceYears = r.ExperienceYears
	}
	if r.Status != nil {
		stored.Status = enumtext.Name(r.GetStatus())
	}
	if r.ReadyForPlacement != nil {
		stored.ReadyForPlacement = r.GetReadyForPlacement()
	}
	for _, c := range clearables() {
		if slices.Contains(r.GetClear(), c.field) {
			c.clear(stored)
		}
	}
}
