package candidate

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	candidatev1 "github.com/intime-solutions/intime/gen/go/intime/candidate/v1"
	studentv1 "github.com/intime-solutions/intime/gen/go/intime/student/v1"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/mail"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

//go:embed mails
var mailFiles embed.FS

// readyFrom is the grade from which on a graduate is ready for placement; app.create_candidate_profile knows it too.
const readyFrom = 80

// RegisterHandlers adds the feature's handlers to the bus.
func RegisterHandlers(bus *eventbus.Bus) error {
	graduate, err := mail.ParseTemplate(mailFiles, "mails/new_graduate")
	if err != nil {
		return err
	}
	h := &handlers{graduate: graduate}
	eventbus.Handle(bus, "create_candidate_profile", createCandidateProfile, eventbus.HandlerOptions{})
	eventbus.Handle(bus, "notify_recruiting_team", h.notifyRecruitingTeam, eventbus.HandlerOptions{})
	eventbus.Handle(bus, "update_pod_metrics", updatePodMetrics, eventbus.HandlerOptions{})
	return nil
}

type handlers struct{ graduate *mail.Template }

// createCandidateProfile makes a candidate of a graduate. The trainer who graduated him may not do that himself, neither
// assign the role nor set the status; the function does what the event says and nothing else.
func createCandidateProfile(ctx context.Context, tx *postgres.Tx, d eventbus.Delivery[*studentv1.CourseGraduated]) error {
	if _, err := tx.Exec(ctx, `SELECT app.create_candidate_profile($1)`, d.EventID); err != nil {
		return fmt.Errorf("create candidate profile: %w", err)
	}
	return nil
}

// graduate is a student as the recruiting team hears of him.
type graduate struct{ Email, FullName string }

// notifyRecruitingTeam tells the organisation's recruiters and bench sales about a graduate.
func (h *handlers) notifyRecruitingTeam(
	ctx context.Context, tx *postgres.Tx, d eventbus.Delivery[*studentv1.CourseGraduated],
) error {
	rows, err := tx.Query(ctx, `
		SELECT email, full_name FROM public.user_profiles
		WHERE id = $1 AND student_enrollment_date IS NOT NULL AND deleted_at IS NULL`, d.Event.GetStudentId())
	if err != nil {
		return fmt.Errorf("find the graduate: %w", err)
	}
	who, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[graduate])
	if errors.Is(err, pgx.ErrNoRows) {
		// Deleted meanwhile: nobody needs to know of him.
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the graduate: %w", err)
	}
	team, err := mail.Recipients(ctx, tx, d.EventID, d.Event.EventType())
	if err != nil {
		return err
	}
	return mail.Tell(ctx, tx, d.ID, team, h.graduate, map[string]any{
		"Name": who.FullName, "Email": who.Email, "Grade": d.Event.GetGrade(), "Ready": d.Event.GetGrade() >= readyFrom,
		"Skills": "Guidewire PolicyCenter, Gosu and Java",
	})
}

// updatePodMetrics counts a placement. Counting is the books' business, not the recruiter's: the function counts what was
// placed, and may be called again.
func updatePodMetrics(ctx context.Context, tx *postgres.Tx, d eventbus.Delivery[*candidatev1.CandidatePlaced]) error {
	if _, err := tx.Exec(ctx, `SELECT app.update_pod_metrics($1)`, d.EventID); err != nil {
		return fmt.Errorf("update pod metrics: %w", err)
	}
	return nil
}
