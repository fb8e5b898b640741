package candidate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	candidatev1 "github.com/intime-solutions/intime/gen/go/intime/candidate/v1"
	"github.com/intime-solutions/intime/internal/person"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
	"github.com/intime-solutions/intime/internal/platform/page"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

const columns = `id, email, full_name, avatar_url, phone, candidate_status AS status, candidate_resume_url AS resume_url,
	coalesce(candidate_skills, '{}') AS skills, candidate_experience_years AS experience_years,
	candidate_ready_for_placement AS ready_for_placement, version, created_at, updated_at`

// isCandidate is what makes a profile a candidate's.
const isCandidate = `candidate_status IS NOT NULL AND deleted_at IS NULL`

func insertCandidate(ctx context.Context, tx *postgres.Tx, c *candidate) (*candidate, error) {
	p, ok := principal.From(ctx)
	if !ok {
		return nil, postgres.ErrNoTenant
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make a candidate id: %w", err)
	}
	return one(tx.Query(ctx, `
		INSERT INTO public.user_profiles (id, org_id, email, full_name, phone, candidate_status, candidate_resume_url,
			candidate_skills, candidate_experience_years)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		RETURNING `+columns,
		id, p.OrgID, c.Email, c.FullName, c.Phone, c.Status, c.ResumeURL, c.Skills, c.ExperienceYears))
}

func findCandidate(ctx context.Context, tx *postgres.Tx, id string) (*candidate, error) {
	return one(tx.Query(ctx, `SELECT `+columns+` FROM public.user_profiles WHERE id = $1 AND `+isCandidate, id))
}

// lockCandidate finds the candidate for a change, and refuses one that has changed since the version.
func lockCandidate(ctx context.Context, tx *postgres.Tx, id string, version int64) (*candidate, error) {
	stored, err := one(tx.Query(ctx,
		`SELECT `+columns+` FROM public.user_profiles WHERE id = $1 AND `+isCandidate+` FOR NO KEY UPDATE`, id))
	if err != nil {
		return nil, err
	}
	if stored.Version != version {
		return nil, errStale
	}
	return stored, nil
}

func updateCandidate(ctx context.Context, tx *postgres.Tx, c *candidate) (*candidate, error) {
	return one(tx.Query(ctx, `
		UPDATE public.user_profiles
		SET full_name = $2, phone = $3, candidate_status = $4, candidate_resume_url = $5, candidate_skills = $6,
			candidate_experience_years = $7, candidate_ready_for_placement = $8, version = version + 1, updated_at = now()
		WHERE id = $1
		RETURNING `+columns,
		c.ID, c.FullName, c.Phone, c.Status, c.ResumeURL, c.Skills, c.ExperienceYears, c.ReadyForPlacement))
}

func deleteCandidate(ctx context.Context, tx *postgres.Tx, id uuid.UUID) error {
	_, err := tx.Exec(ctx,
		`UPDATE public.user_profiles SET deleted_at = now(), updated_at = now(), version = version + 1 WHERE id = $1`, id)
	if err != nil {
		return fmt.Errorf("delete candidate: %w", err)
	}
	return nil
}

// requireOnlyCandidate refuses somebody who is of the staff, a client, or still a student: who deletes candidates deletes
// none of these. A graduate is a candidate and nothing else.
func requireOnlyCandidate(ctx context.Context, tx *postgres.Tx, id uuid.UUID) error {
	var more, graduated bool
	err := tx.QueryRow(ctx, `
		SELECT employee_hire_date IS NOT NULL OR client_company_name IS NOT NULL
				OR student_enrollment_date IS NOT NULL AND student_graduation_date IS NULL,
			student_graduation_date IS NOT NULL
		FROM public.user_profiles WHERE id = $1`, id).Scan(&more, &graduated)
	if err != nil {
		return fmt.Errorf("find what else the candidate is: %w", err)
	}
	standing, err := person.StandingOf(ctx, tx, id)
	if err != nil {
		return err
	}
	if more || slices.ContainsFunc(standing.RoleNames, func(role string) bool {
		return role != "candidate" && (role != "student" || !graduated)
	}) {
		return errNotOnly
	}
	return nil
}

// filters are what a list is filtered and ordered by; a page token is bound to them.
type filters struct {
	Query         string
	Statuses      []string
	Skill         string
	MinExperience *int32
	Ready         *bool
	Order         person.Order
}

func filtersOf(r *candidatev1.ListCandidatesRequest) filters {
	f := filters{
		Query: r.GetQuery(), Skill: strings.ToLower(strings.TrimSpace(r.GetSkill())),
		MinExperience: r.MinExperienceYears, Ready: r.ReadyForPlacement,
	}
	for _, status := range r.GetStatuses() {
		f.Statuses = append(f.Statuses, enumtext.Name(status))
	}
	slices.Sort(f.Statuses)
	switch r.GetSort() {
	case candidatev1.CandidateSort_CANDIDATE_SORT_NAME:
		f.Order = person.Name
	case candidatev1.CandidateSort_CANDIDATE_SORT_EXPERIENCE:
		f.Order = person.Experience
	default:
		f.Order = person.Newest
	}
	return f
}

// listed is a candidate in a list, with what the list is ordered by.
type listed struct {
	candidate

	SortKey string
}

func listCandidates(ctx context.Context, tx *postgres.Tx, by filters, after page.Token, limit int) ([]*listed, error) {
	where := postgres.NewFilter(isCandidate)
	if strings.TrimSpace(by.Query) != "" {
		where.And("search_text LIKE @query", "query", postgres.Contains(by.Query))
	}
	if len(by.Statuses) > 0 {
		where.And("candidate_status = ANY (@statuses)", "statuses", by.Statuses)
	}
	if by.Skill != "" {
		where.And("@skill = ANY (candidate_skill_keys)", "skill", by.Skill)
	}
	if by.MinExperience != nil {
		where.And("candidate_experience_years >= @experience", "experience", *by.MinExperience)
	}
	if by.Ready != nil {
		where.And("candidate_ready_for_placement = @ready", "ready", *by.Ready)
	}
	if err := by.Order.After(after, where); err != nil {
		return nil, err
	}
	where.Args["limit"] = limit
	rows, err := tx.Query(ctx, `
		SELECT `+columns+`, `+by.Order.Key()+` AS sort_key FROM public.user_profiles
		WHERE `+where.SQL()+` ORDER BY `+by.Order.By()+` LIMIT @limit`, where.Args)
	if err != nil {
		return nil, fmt.Errorf("list candidates: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[listed])
	if err != nil {
		return nil, fmt.Errorf("list candidates: %w", err)
	}
	return found, nil
}

func one(rows pgx.Rows, err error) (*candidate, error) {
	if err != nil {
		return nil, fmt.Errorf("query candidate: %w", err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[candidate])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("query candidate: %w", err)
	}
	return found, nil
}
