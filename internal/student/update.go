package student

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	studentv1 "github.com/intime-solutions/intime/gen/go/intime/student/v1"
	"github.com/intime-solutions/intime/internal/person"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// UpdateStudent changes the fields that are sent and leaves the others as they are.
func (s *Service) UpdateStudent(ctx context.Context, r *studentv1.UpdateStudentRequest) (*studentv1.UpdateStudentResponse, error) {
	if err := checkUpdate(r); err != nil {
		return nil, err
	}
	enrolled, err := person.ParseDate("enrollment_date", r.GetEnrollmentDate())
	if err != nil {
		return nil, err
	}
	var updated *student
	err = s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		stored, err := lockStudent(ctx, tx, r.GetId(), r.GetVersion())
		if err != nil {
			return err
		}
		if err := checkStaff(ctx, r); err != nil {
			return err
		}
		apply(r, enrolled, stored)
		if enrolled != nil && stored.GraduationDate != nil && stored.GraduationDate.Before(*enrolled) {
			return apierr.Invalid(apierr.Violation{
				Field: "enrollment_date", Rule: "student.enrollment_date.after_graduation", Message: "Nobody begins after he graduated.",
			})
		}
		updated, err = updateStudent(ctx, tx, stored)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &studentv1.UpdateStudentResponse{Student: updated.proto()}, nil
}

// clearable is a field that may be empty: whether it was sent, and how to empty it.
type clearable struct {
	field studentv1.UpdateStudentRequest_Clearable
	name  string
	sent  func(*studentv1.UpdateStudentRequest) bool
	clear func(*student)
}

func clearables() []clearable {
	return []clearable{
		{
			studentv1.UpdateStudentRequest_CLEARABLE_PHONE, "phone",
			func(r *studentv1.UpdateStudentRequest) bool { return r.Phone != nil },
			func(s *student) { s.Phone = nil },
		},
		{
			studentv1.UpdateStudentRequest_CLEARABLE_CURRENT_MODULE, "current_module",
			func(r *studentv1.UpdateStudentRequest) bool { return r.CurrentModule != nil },
			func(s *student) { s.CurrentModule = nil },
		},
	}
}

// checkUpdate refuses an update that sends a field and clears it at once, and blank text.
func checkUpdate(r *studentv1.UpdateStudentRequest) error {
	for _, c := range clearables() {
		if slices.Contains(r.GetClear(), c.field) && c.sent(r) {
			return apierr.Invalid(apierr.Violation{
				Field: c.name, Rule: "student.clear_conflict",
				Message: fmt.Sprintf("The field %s is sent and cleared at once. Do one of the two.", c.name),
			})
		}
	}
	if err := person.CheckName(r.FullName); err != nil {
		return err
	}
	return checkModule("current_module", r.CurrentModule)
}

// checkModule refuses a module that trimming leaves nothing of, as the schema does for the blanks that it knows.
func checkModule(field string, module *string) error {
	if module == nil || strings.TrimSpace(*module) != "" {
		return nil
	}
	return apierr.Invalid(apierr.Violation{
		Field: field, Rule: "student.current_module", Message: "A module's name has 1 to 200 characters.",
	})
}

// checkStaff keeps a student from deciding of himself what the staff decides.
func checkStaff(ctx context.Context, r *studentv1.UpdateStudentRequest) error {
	p, ok := principal.From(ctx)
	switch {
	case !ok:
		return postgres.ErrNoTenant
	case p.CanAll("student:update"):
		return nil
	case r.EnrollmentDate != nil:
		return staffOnly("enrollment_date", "Only the staff decides when somebody began.")
	case r.CourseProgress != nil:
		return staffOnly("course_progress", "Only the staff decides how far somebody is.")
	}
	return nil
}

// apply changes the stored student as the request says.
func apply(r *studentv1.UpdateStudentRequest, enrolled *time.Time, stored *student) {
	if r.FullName != nil {
		stored.FullName = strings.TrimSpace(r.GetFullName())
	}
	if r.Phone != nil {
		stored.Phone = r.Phone
	}
	if enrolled != nil {
		stored.EnrollmentDate = enrolled
	}
	if r.CurrentModule != nil {
		stored.CurrentModule = optional(strings.TrimSpace(r.GetCurrentModule()))
	}
	if r.CourseProgress != nil {
		stored.CourseProgress = r.GetCourseProgress().GetValues()
	}
	for _, c := range clearables() {
		if slices.Contains(r.GetClear(), c.field) {
			c.clear(stored)
		}
	}
}
