package candidate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	candidatev1 "github.com/intime-solutions/intime/gen/go/intime/candidate/v1"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// placement is a row of the table placements.
type placement struct {
	ID             uuid.UUID
	CandidateID    uuid.UUID
	JobID          uuid.UUID
	PlacedBy       uuid.UUID
	PreviousStatus string
	PlacedAt       time.Time
}

func (p *placement) proto() *candidatev1.Placement {
	return &candidatev1.Placement{
		Id: p.ID.String(), CandidateId: p.CandidateID.String(), JobId: p.JobID.String(), PlacedBy: p.PlacedBy.String(),
		PreviousStatus: enumtext.Value[candidatev1.CandidateStatus](p.PreviousStatus), PlacedAt: timestamppb.New(p.PlacedAt),
	}
}

// PlaceCandidate places a candidate in an open job, and publishes candidate.placed in the same transaction. The job stays
// open: it may be looking for more than one.
func (s *Service) PlaceCandidate(
	ctx context.Context, r *candidatev1.PlaceCandidateRequest,
) (*candidatev1.PlaceCandidateResponse, error) {
	var (
		placed *candidate
		made   *placement
	)
	err := s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		stored, err := lockCandidate(ctx, tx, r.GetId(), r.GetVersion())
		if err != nil {
			return err
		}
		if stored.Status == statusPlaced || stored.Status == statusBlacklisted {
			return errNotAvailable
		}
		jobID, err := requireOpenJob(ctx, tx, r.GetJobId())
		if err != nil {
			return err
		}
		if made, err = insertPlacement(ctx, tx, stored, jobID); err != nil {
			return err
		}
		stored.Status = statusPlaced
		if placed, err = updateCandidate(ctx, tx, stored); err != nil {
			return err
		}
		_, err = s.bus.Publish(ctx, tx, &candidatev1.CandidatePlaced{
			PlacementId: made.ID.String(), CandidateId: made.CandidateID.String(), JobId: made.JobID.String(),
		}, eventbus.PublishOptions{})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &candidatev1.PlaceCandidateResponse{Candidate: placed.proto(), Placement: made.proto()}, nil
}

// requireOpenJob refuses a job that is not open, or not one of this organisation.
func requireOpenJob(ctx context.Context, tx *postgres.Tx, id string) (uuid.UUID, error) {
	var (
		jobID  uuid.UUID
		status string
	)
	err := tx.QueryRow(ctx, `SELECT id, status FROM public.jobs WHERE id = $1 AND deleted_at IS NULL`, id).Scan(&jobID, &status)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return uuid.Nil, apierr.Invalid(apierr.Violation{
			Field: "job_id", Rule: "job.id.unknown", Message: "There is no such job.",
		})
	case err != nil:
		return uuid.Nil, fmt.Errorf("find job: %w", err)
	case status != "open":
		return uuid.Nil, errJobNotOpen
	}
	return jobID, nil
}

func insertPlacement(ctx context.Context, tx *postgres.Tx, of *candidate, jobID uuid.UUID) (*placement, error) {
	p, ok := principal.From(ctx)
	if !ok {
		return nil, postgres.ErrNoTenant
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make a placement id: %w", err)
	}
	rows, err := tx.Query(ctx, `
		INSERT INTO public.placements (id, org_id, candidate_id, job_id, placed_by, previous_status)
		VALUES ($1, $2, $3, $4, $5, $6)
		RETURNING id, candidate_id, job_id, placed_by, previous_status, placed_at`,
		id, p.OrgID, of.ID, jobID, p.UserID, of.Status)
	if err != nil {
		return nil, fmt.Errorf("insert placement: %w", err)
	}
	made, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[placement])
	if err != nil {
		return nil, fmt.Errorf("insert placement: %w", err)
	}
	return made, nil
}
