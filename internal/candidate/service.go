package candidate

import (
	"context"

	candidatev1 "github.com/intime-solutions/intime/gen/go/intime/candidate/v1"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/person"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
	"github.com/intime-solutions/intime/internal/platform/page"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// Service implements intime.candidate.v1.CandidateService.
type Service struct {
	db  *postgres.DB
	bus *eventbus.Bus
}

// NewService returns the service.
func NewService(db *postgres.DB, bus *eventbus.Bus) *Service { return &Service{db: db, bus: bus} }

// CreateCandidate creates a candidate and publishes user.created in the same transaction. His id is his own: he cannot
// sign in before an issuer of tokens knows it.
func (s *Service) CreateCandidate(
	ctx context.Context, r *candidatev1.CreateCandidateRequest,
) (*candidatev1.CreateCandidateResponse, error) {
	contact, err := person.NewContact(r.GetEmail(), r.GetFullName(), r.GetPhone())
	if err != nil {
		return nil, err
	}
	if err := checkSkills("skills", r.GetSkills()); err != nil {
		return nil, err
	}
	wanted := &candidate{
		Email: contact.Email, FullName: contact.FullName, Phone: contact.Phone, Status: statusActive,
		Skills: trimSkills(r.GetSkills()), ExperienceYears: r.ExperienceYears,
	}
	if r.GetResumeUrl() != "" {
		wanted.ResumeURL = &r.ResumeUrl
	}
	if r.Status != nil {
		wanted.Status = enumtext.Name(r.GetStatus())
	}
	var created *candidate
	err = s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if created, err = insertCandidate(ctx, tx, wanted); err != nil {
			return person.Taken(err)
		}
		return person.Admit(ctx, tx, s.bus, created.ID, "candidate")
	})
	if err != nil {
		return nil, err
	}
	return &candidatev1.CreateCandidateResponse{Candidate: created.proto()}, nil
}

// GetCandidate returns a candidate.
func (s *Service) GetCandidate(
	ctx context.Context, r *candidatev1.GetCandidateRequest,
) (*candidatev1.GetCandidateResponse, error) {
	var found *candidate
	err := s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		found, err = findCandidate(ctx, tx, r.GetId())
		return err
	})
	if err != nil {
		return nil, err
	}
	return &candidatev1.GetCandidateResponse{Candidate: found.proto()}, nil
}

// ListCandidates returns candidates.
func (s *Service) ListCandidates(
	ctx context.Context, r *candidatev1.ListCandidatesRequest,
) (*candidatev1.ListCandidatesResponse, error) {
	filters := filtersOf(r)
	after, err := page.Decode(r.GetPageToken(), filters)
	if err != nil {
		return nil, err
	}
	size := page.Size(r.GetPageSize())
	var found []*listed
	err = s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		found, err = listCandidates(ctx, tx, filters, after, size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	response := &candidatev1.ListCandidatesResponse{}
	if len(found) > size {
		found = found[:size]
		last := found[size-1]
		if response.NextPageToken, err = (page.Token{After: last.ID, Key: last.SortKey}).Encode(filters); err != nil {
			return nil, err
		}
	}
	for _, c := range found {
		response.Candidates = append(response.Candidates, c.proto())
	}
	return response, nil
}

// DeleteCandidate deletes, softly, somebody who is a candidate and nothing else.
func (s *Service) DeleteCandidate(
	ctx context.Context, r *candidatev1.DeleteCandidateRequest,
) (*candidatev1.DeleteCandidateResponse, error) {
	err := s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		stored, err := lockCandidate(ctx, tx, r.GetId(), r.GetVersion())
		if err != nil {
			return err
		}
		if err := requireOnlyCandidate(ctx, tx, stored.ID); err != nil {
			return err
		}
		return deleteCandidate(ctx, tx, stored.ID)
	})
	if err != nil {
		return nil, err
	}
	return &candidatev1.DeleteCandidateResponse{}, nil
}
