package job

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/mail"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

//go:embed mails
var mailFiles embed.FS

// RegisterHandlers adds the feature's handlers to the bus.
func RegisterHandlers(bus *eventbus.Bus) error {
	template, err := mail.ParseTemplate(mailFiles, "mails/new_job")
	if err != nil {
		return err
	}
	m := &matcher{template: template}
	eventbus.Handle(bus, "notify_matching_candidates", m.notify, eventbus.HandlerOptions{})
	return nil
}

// matcher tells candidates about jobs that suit them.
type matcher struct{ template *mail.Template }

// candidate is somebody whom a job suits.
type candidate struct {
	ID       uuid.UUID
	Email    string
	FullName string
	Shared   []string // the skills that the job asks for and he has, as he writes them
}

// notify queues a mail for every candidate of the organisation who is looking, shares a skill with the job and has the
// experience it asks for. It asks the database for the job itself: the mail says what is true now.
func (m *matcher) notify(ctx context.Context, tx *postgres.Tx, d eventbus.Delivery[*jobv1.JobCreated]) error {
	j, err := findJob(ctx, tx, d.Event.GetJobId())
	if errors.Is(err, errNotFound) {
		// Deleted meanwhile: nobody needs to know of it.
		return nil
	}
	if err != nil {
		return err
	}
	matching, err := matchingCandidates(ctx, tx, j)
	if err != nil {
		return err
	}
	mails := make([]mail.Mail, 0, len(matching))
	for _, c := range matching {
		content, err := m.template.Render(map[string]any{
			"Name": c.FullName, "Title": j.Title, "Location": j.Location, "Remote": j.RemoteAllowed,
			"Skills": strings.Join(j.RequiredSkills, ", "), "Shared": strings.Join(c.Shared, ", "),
		})
		if err != nil {
			return eventbus.Permanent(err)
		}
		mails = append(mails, mail.Mail{
			DedupKey: d.ID.String() + "/" + c.ID.String(), To: c.Email, ToName: c.FullName, Content: content,
		})
	}
	return mail.Queue(ctx, tx, mails)
}

func matchingCandidates(ctx context.Context, tx *postgres.Tx, j *job) ([]candidate, error) {
	rows, err := tx.Query(ctx, `
		SELECT p.id, p.email, p.full_name,
			array(SELECT s FROM unnest(p.candidate_skills) AS s WHERE lower(btrim(s)) = ANY (j.required_skill_keys)) AS shared
		FROM public.jobs j
		JOIN public.user_profiles p ON p.org_id = j.org_id
		WHERE j.id = $1
		  AND p.candidate_status IN ('active', 'bench') AND p.is_active AND p.deleted_at IS NULL
		  AND p.candidate_skill_keys && j.required_skill_keys
		  AND coalesce(p.candidate_experience_years, 0) >= coalesce(j.experience_years_min, 0)
		  AND (j.experience_years_max IS NULL OR coalesce(p.candidate_experience_years, 0) <= j.experience_years_max)
		ORDER BY p.id`, j.ID)
	if err != nil {
		return nil, fmt.Errorf("find matching candidates: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[candidate])
	if err != nil {
		return nil, fmt.Errorf("find matching candidates: %w", err)
	}
	return found, nil
}
