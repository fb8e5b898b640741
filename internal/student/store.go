package student

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	studentv1 "github.com/intime-solutions/intime/gen/go/intime/student/v1"
	"github.com/intime-solutions/intime/internal/person"
	"github.com/intime-solutions/intime/internal/platform/page"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

const columns = `id, email, full_name, avatar_url, phone, student_enrollment_date AS enrollment_date,
	student_current_module AS current_module, coalesce(student_course_progress, '{}') AS course_progress,
	student_graduation_date AS graduation_date, version, created_at, updated_at`

// isStudent is what makes a profile a student's.
const isStudent = `student_enrollment_date IS NOT NULL AND deleted_at IS NULL`

func insertStudent(ctx context.Context, tx *postgres.Tx, s *student) (*student, error) {
	p, ok := principal.From(ctx)
	if !ok {
		return nil, postgres.ErrNoTenant
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make a student id: %w", err)
	}
	return one(tx.Query(ctx, `
		INSERT INTO public.user_profiles (id, org_id, email, full_name, phone, student_enrollment_date, student_current_module,
			student_course_progress)
		VALUES ($1, $2, $3, $4, $5, coalesce($6::date, current_date), $7, '{}')
		RETURNING `+columns,
		id, p.OrgID, s.Email, s.FullName, s.Phone, s.EnrollmentDate, s.CurrentModule))
}

func findStudent(ctx context.Context, tx *postgres.Tx, id string) (*student, error) {
	return one(tx.Query(ctx, `SELECT `+columns+` FROM public.user_profiles WHERE id = $1 AND `+isStudent, id))
}

// lockStudent finds the student for a change, and refuses one that has changed since the version.
func lockStudent(ctx context.Context, tx *postgres.Tx, id string, version int64) (*student, error) {
	stored, err := one(tx.Query(ctx,
		`SELECT `+columns+` FROM public.user_profiles WHERE id = $1 AND `+isStudent+` FOR NO KEY UPDATE`, id))
	if err != nil {
		return nil, err
	}
	if stored.Version != version {
		return nil, errStale
	}
	return stored, nil
}

func updateStudent(ctx context.Context, tx *postgres.Tx, s *student) (*student, error) {
	progress := []byte("{}")
	if len(s.CourseProgress) > 0 {
		var err error
		if progress, err = json.Marshal(s.CourseProgress); err != nil {
			return nil, fmt.Errorf("encode progress: %w", err)
		}
	}
	return one(tx.Query(ctx, `
		UPDATE public.user_profiles
		SET full_name = $2, phone = $3, student_enrollment_date = $4, student_current_module = $5,
			-- Who may not change it leaves it as it is, also where it is not there.
			student_course_progress = CASE WHEN coalesce(student_course_progress, '{}') = $6::jsonb
				THEN student_course_progress ELSE $6::jsonb END,
			student_graduation_date = $7, version = version + 1, updated_at = now()
		WHERE id = $1
		RETURNING `+columns,
		s.ID, s.FullName, s.Phone, s.EnrollmentDate, s.CurrentModule, string(progress), s.GraduationDate))
}

func deleteStudent(ctx context.Context, tx *postgres.Tx, id uuid.UUID) error {
	_, err := tx.Exec(ctx,
		`UPDATE public.user_profiles SET deleted_at = now(), updated_at = now(), version = version + 1 WHERE id = $1`, id)
	if err != nil {
		return fmt.Errorf("delete student: %w", err)
	}
	return nil
}

// requireOnlyStudent refuses somebody who is of the staff, a client or a candidate: who deletes students deletes none of
// these.
func requireOnlyStudent(ctx context.Context, tx *postgres.Tx, id uuid.UUID) error {
	var more bool
	err := tx.QueryRow(ctx, `
		SELECT employee_hire_date IS NOT NULL OR client_company_name IS NOT NULL OR candidate_status IS NOT NULL
		FROM public.user_profiles WHERE id = $1`, id).Scan(&more)
	if err != nil {
		return fmt.Errorf("find what else the student is: %w", err)
	}
	standing, err := person.StandingOf(ctx, tx, id)
	if err != nil {
		return err
	}
	if more || slices.ContainsFunc(standing.RoleNames, func(role string) bool { return role != "student" }) {
		return errNotOnly
	}
	return nil
}

// today is the database's.
func today(ctx context.Context, tx *postgres.Tx) (day time.Time, err error) {
	if err := tx.QueryRow(ctx, `SELECT current_date`).Scan(&day); err != nil {
		return time.Time{}, fmt.Errorf("ask for the day: %w", err)
	}
	return day, nil
}

// filters are what a list is filtered and ordered by; a page token is bound to them.
type filters struct {
	Query     string
	Graduated *bool
	Module    string
	Order     person.Order
}

func filtersOf(r *studentv1.ListStudentsRequest) filters {
	f := filters{Query: r.GetQuery(), Graduated: r.Graduated, Module: strings.TrimSpace(r.GetCurrentModule())}
	if r.GetSort() == studentv1.StudentSort_STUDENT_SORT_NAME {
		f.Order = person.Name
	}
	return f
}

// listed is a student in a list, with what the list is ordered by.
type listed struct {
	student

	SortKey string
}

func listStudents(ctx context.Context, tx *postgres.Tx, by filters, after page.Token, limit int) ([]*listed, error) {
	where := postgres.NewFilter(isStudent)
	if strings.TrimSpace(by.Query) != "" {
		where.And("search_text LIKE @query", "query", postgres.Contains(by.Query))
	}
	if by.Graduated != nil {
		where.And("(student_graduation_date IS NOT NULL) = @graduated", "graduated", *by.Graduated)
	}
	if by.Module != "" {
		where.And("student_current_module = @module", "module", by.Module)
	}
	if err := by.Order.After(after, where); err != nil {
		return nil, err
	}
	where.Args["limit"] = limit
	rows, err := tx.Query(ctx, `
		SELECT `+columns+`, `+by.Order.Key()+` AS sort_key FROM public.user_profiles
		WHERE `+where.SQL()+` ORDER BY `+by.Order.By()+` LIMIT @limit`, where.Args)
	if err != nil {
		return nil, fmt.Errorf("list students: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[listed])
	if err != nil {
		return nil, fmt.Errorf("list students: %w", err)
	}
	return found, nil
}

func one(rows pgx.Rows, err error) (*student, error) {
	if err != nil {
		return nil, fmt.Errorf("query student: %w", err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[student])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("query student: %w", err)
	}
	return found, nil
}
