package demo

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Seed writes the demo's organisations and people, as the database's administrator. What is there already stays as it is.
func Seed(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var batch pgx.Batch
		for _, o := range Organizations() {
			batch.Queue(`INSERT INTO public.organizations (id, name, slug) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
				o.ID(), o.Name, o.Slug)
		}
		for _, p := range People() {
			p.queue(&batch)
		}
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return fmt.Errorf("seed the demo's people: %w", err)
		}
		return nil
	})
}

func (p Person) queue(batch *pgx.Batch) {
	var (
		status, company *string
		skills          []string
		experience      *int
	)
	if p.Candidate != nil {
		status, skills, experience = &p.Candidate.Status, p.Candidate.Skills, &p.Candidate.Experience
	}
	if p.Company != "" {
		company = &p.Company
	}
	batch.Queue(`
		INSERT INTO public.user_profiles (id, org_id, email, full_name, candidate_status, candidate_skills,
			candidate_experience_years, client_company_name, student_enrollment_date, student_course_progress,
			employee_hire_date)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8,
			CASE WHEN $9::boolean THEN current_date - 90 END,
			CASE WHEN $9::boolean THEN '{"PolicyCenter": 60}'::jsonb END,
			CASE WHEN $10::boolean THEN current_date - 400 END)
		ON CONFLICT DO NOTHING`,
		p.ID(), p.Organization.ID(), p.Email, p.FullName, status, skills, experience, company, p.Student, p.Employee)
	batch.Queue(`
		INSERT INTO public.user_roles (id, org_id, user_id, role_name) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		idOf(p.Email+"/"+p.Role), p.Organization.ID(), p.ID(), p.Role)
}
