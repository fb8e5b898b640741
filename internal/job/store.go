package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

const columns = `id, client_id, title, description, required_skills, experience_years_min, experience_years_max,
	salary_min, salary_max, salary_currency, location, remote_allowed, status, version, created_by, created_at, updated_at`

func insertJob(ctx context.Context, tx *postgres.Tx, j *job) (*job, error) {
	p, ok := principal.From(ctx)
	if !ok {
		return nil, postgres.ErrNoTenant
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make a job id: %w", err)
	}
	return one(tx.Query(ctx, `
		INSERT INTO public.jobs (id, org_id, client_id, title, description, required_skills, experience_years_min,
			experience_years_max, salary_min, salary_max, salary_currency, location, remote_allowed, created_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		RETURNING `+columns,
		id, p.OrgID, j.ClientID, j.Title, j.Description, j.RequiredSkills, j.ExperienceYearsMin, j.ExperienceYearsMax,
		j.SalaryMin, j.SalaryMax, j.SalaryCurrency, j.Location, j.RemoteAllowed, p.UserID))
}

func findJob(ctx context.Context, tx *postgres.Tx, id string) (*job, error) {
	return one(tx.Query(ctx, `SELECT `+columns+` FROM public.jobs WHERE id = $1 AND deleted_at IS NULL`, id))
}

// lockJob finds the job for a change, and refuses one that has changed since the version.
func lockJob(ctx context.Context, tx *postgres.Tx, id string, version int64) (*job, error) {
	stored, err := one(tx.Query(ctx,
		`SELECT `+columns+` FROM public.jobs WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE`, id))
	if err != nil {
		return nil, err
	}
	if stored.Version != version {
		return nil, errStale
	}
	return stored, nil
}

func updateJob(ctx context.Context, tx *postgres.Tx, j *job) (*job, error) {
	return one(tx.Query(ctx, `
		UPDATE public.jobs
		SET client_id = $2, title = $3, description = $4, required_skills = $5, experience_years_min = $6,
			experience_years_max = $7, salary_min = $8, salary_max = $9, salary_currency = $10, location = $11,
			remote_allowed = $12, status = $13, version = version + 1, updated_at = now()
		WHERE id = $1
		RETURNING `+columns,
		j.ID, j.ClientID, j.Title, j.Description, j.RequiredSkills, j.ExperienceYearsMin, j.ExperienceYearsMax,
		j.SalaryMin, j.SalaryMax, j.SalaryCurrency, j.Location, j.RemoteAllowed, j.Status))
}

func deleteJob(ctx context.Context, tx *postgres.Tx, id uuid.UUID) error {
	_, err := tx.Exec(ctx,
		`UPDATE public.jobs SET deleted_at = now(), updated_at = now(), version = version + 1 WHERE id = $1`, id)
	if err != nil {
		return fmt.Errorf("delete job: %w", err)
	}
	return nil
}

// requireClient refuses a client who is not a company's person in this organisation; none at all is fine.
func requireClient(ctx context.Context, tx *postgres.Tx, id *uuid.UUID) error {
	if id == nil {
		return nil
	}
	var known bool
	err := tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM public.user_profiles
			WHERE id = $1 AND client_company_name IS NOT NULL AND deleted_at IS NULL)`, id).Scan(&known)
	if err != nil {
		return fmt.Errorf("find client: %w", err)
	}
	if !known {
		return unknownClient()
	}
	return nil
}

// filters are what a list is filtered by; a page token is bound to them.
type filters struct {
	Query    string
	Statuses []string
	ClientID string
	Skill    string
	Remote   *bool
}

func filtersOf(r *jobv1.ListJobsRequest) filters {
	f := filters{
		Query: r.GetQuery(), ClientID: r.GetClientId(),
		Skill: strings.ToLower(strings.TrimSpace(r.GetSkill())), Remote: r.RemoteAllowed,
	}
	for _, status := range r.GetStatuses() {
		f.Statuses = append(f.Statuses, enumtext.Name(status))
	}
	slices.Sort(f.Statuses)
	f.Statuses = slices.Compact(f.Statuses)
	return f
}

func listJobs(ctx context.Context, tx *postgres.Tx, by filters, after uuid.UUID, limit int) ([]*job, error) {
	where := postgres.NewFilter("deleted_at IS NULL")
	if strings.TrimSpace(by.Query) != "" {
		where.And("search_text LIKE @query", "query", postgres.Contains(by.Query))
	}
	if len(by.Statuses) == 1 {
		// One state, one walk along its index, already in order.
		where.And("status = @status", "status", by.Statuses[0])
	} else if len(by.Statuses) > 1 {
		where.And("status = ANY (@statuses)", "statuses", by.Statuses)
	}
	if by.ClientID != "" {
		where.And("client_id = @client_id", "client_id", by.ClientID)
	}
	if by.Skill != "" {
		where.And("@skill = ANY (required_skill_keys)", "skill", by.Skill)
	}
	if by.Remote != nil {
		where.And("remote_allowed = @remote", "remote", *by.Remote)
	}
	if after != uuid.Nil {
		where.And("id < @after", "after", after)
	}
	where.Args["limit"] = limit
	rows, err := tx.Query(ctx,
		`SELECT `+columns+` FROM public.jobs WHERE `+where.SQL()+` ORDER BY id DESC LIMIT @limit`, where.Args)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[job])
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	return found, nil
}

func one(rows pgx.Rows, err error) (*job, error) {
	if err != nil {
		return nil, fmt.Errorf("query job: %w", err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[job])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("query job: %w", err)
	}
	return found, nil
}
