package job

import (
	"context"
	"strings"

	"github.com/google/uuid"

	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/platform/page"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// Service implements intime.job.v1.JobService.
type Service struct {
	db  *postgres.DB
	bus *eventbus.Bus
}

// NewService returns the service.
func NewService(db *postgres.DB, bus *eventbus.Bus) *Service { return &Service{db: db, bus: bus} }

// CreateJob creates a job and publishes job.created in the same transaction.
func (s *Service) CreateJob(ctx context.Context, r *jobv1.CreateJobRequest) (*jobv1.CreateJobResponse, error) {
	if err := checkBlank(&r.Title, &r.Location, "required_skills", r.GetRequiredSkills()); err != nil {
		return nil, err
	}
	wanted := &job{
		ClientID: optionalID(r.GetClientId()), Title: strings.TrimSpace(r.GetTitle()), Description: r.GetDescription(),
		RequiredSkills:     trimSkills(r.GetRequiredSkills()),
		ExperienceYearsMin: r.ExperienceYearsMin, ExperienceYearsMax: r.ExperienceYearsMax,
		SalaryMin: r.SalaryMin, SalaryMax: r.SalaryMax, SalaryCurrency: optionalText(r.GetSalaryCurrency()),
		Location: strings.TrimSpace(r.GetLocation()), RemoteAllowed: r.GetRemoteAllowed(),
	}
	if err := wanted.check(); err != nil {
		return nil, err
	}
	var created *job
	err := s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if err := requireClient(ctx, tx, wanted.ClientID); err != nil {
			return err
		}
		if created, err = insertJob(ctx, tx, wanted); err != nil {
			return err
		}
		_, err = s.bus.Publish(ctx, tx, &jobv1.JobCreated{
			JobId: created.ID.String(), Title: created.Title, RequiredSkills: created.RequiredSkills,
			ExperienceYearsMin: created.ExperienceYearsMin, ExperienceYearsMax: created.ExperienceYearsMax,
		}, eventbus.PublishOptions{})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &jobv1.CreateJobResponse{Job: created.proto()}, nil
}

// GetJob returns a job.
func (s *Service) GetJob(ctx context.Context, r *jobv1.GetJobRequest) (*jobv1.GetJobResponse, error) {
	var found *job
	err := s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		found, err = findJob(ctx, tx, r.GetId())
		return err
	})
	if err != nil {
		return nil, err
	}
	return &jobv1.GetJobResponse{Job: found.proto()}, nil
}

// ListJobs returns jobs, newest first.
func (s *Service) ListJobs(ctx context.Context, r *jobv1.ListJobsRequest) (*jobv1.ListJobsResponse, error) {
	filters := filtersOf(r)
	after, err := page.Decode(r.GetPageToken(), filters)
	if err != nil {
		return nil, err
	}
	size := page.Size(r.GetPageSize())
	var found []*job
	err = s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		found, err = listJobs(ctx, tx, filters, after.After, size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	response := &jobv1.ListJobsResponse{}
	if len(found) > size {
		found = found[:size]
		if response.NextPageToken, err = (page.Token{After: found[size-1].ID}).Encode(filters); err != nil {
			return nil, err
		}
	}
	for _, j := range found {
		response.Jobs = append(response.Jobs, j.proto())
	}
	return response, nil
}

// UpdateJob changes the fields that are sent and leaves the others as they are.
func (s *Service) UpdateJob(ctx context.Context, r *jobv1.UpdateJobRequest) (*jobv1.UpdateJobResponse, error) {
	if err := checkCleared(r); err != nil {
		return nil, err
	}
	if err := checkBlank(r.Title, r.Location, "required_skills.values", r.GetRequiredSkills().GetValues()); err != nil {
		return nil, err
	}
	var updated *job
	err := s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		stored, err := lockJob(ctx, tx, r.GetId(), r.GetVersion())
		if err != nil {
			return err
		}
		apply(r, stored)
		if err := stored.check(); err != nil {
			return err
		}
		if r.ClientId != nil {
			if err := requireClient(ctx, tx, stored.ClientID); err != nil {
				return err
			}
		}
		updated, err = updateJob(ctx, tx, stored)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &jobv1.UpdateJobResponse{Job: updated.proto()}, nil
}

// DeleteJob deletes a job softly.
func (s *Service) DeleteJob(ctx context.Context, r *jobv1.DeleteJobRequest) (*jobv1.DeleteJobResponse, error) {
	err := s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		stored, err := lockJob(ctx, tx, r.GetId(), r.GetVersion())
		if err != nil {
			return err
		}
		return deleteJob(ctx, tx, stored.ID)
	})
	if err != nil {
		return nil, err
	}
	return &jobv1.DeleteJobResponse{}, nil
}

func optionalID(text string) *uuid.UUID {
	id, err := uuid.Parse(text)
	if err != nil {
		return nil
	}
	return &id
}

func optionalText(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
