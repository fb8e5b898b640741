// Package student serves an organisation's students, from enrolment to graduation. Start at Service.
package student

import (
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	studentv1 "github.com/intime-solutions/intime/gen/go/intime/student/v1"
	"github.com/intime-solutions/intime/internal/person"
	"github.com/intime-solutions/intime/internal/platform/apierr"
)

// The reasons of this service's errors.
const (
	ReasonNotFound  = "STUDENT_NOT_FOUND"         // there is no such student in the caller's organisation
	ReasonStale     = "STUDENT_VERSION_STALE"     // the student was changed since the version that the caller names
	ReasonStaffOnly = "STUDENT_STAFF_ONLY"        // a student changes of himself what the staff decides
	ReasonGraduated = "STUDENT_ALREADY_GRADUATED" // the student has graduated already
	ReasonNotOnly   = "STUDENT_NOT_ONLY"          // the person is more than a student and cannot be deleted as one
)

var (
	errNotFound  = apierr.NotFound(ReasonNotFound, "student")
	errStale     = apierr.Stale(ReasonStale, "student")
	errGraduated = apierr.New(connect.CodeFailedPrecondition, ReasonGraduated, "This student has graduated already.")
	errNotOnly   = apierr.New(connect.CodeFailedPrecondition, ReasonNotOnly,
		"This person is more than a student, and cannot be deleted as one.")
)

// student is the part of a row of user_profiles that makes the person a student.
type student struct {
	ID             uuid.UUID
	Email          string
	FullName       string
	AvatarURL      *string
	Phone          *string
	EnrollmentDate *time.Time
	CurrentModule  *string
	CourseProgress map[string]int32
	GraduationDate *time.Time
	Version        int64
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

func (s *student) proto() *studentv1.Student {
	return &studentv1.Student{
		Id: s.ID.String(), Email: s.Email, FullName: s.FullName, AvatarUrl: value(s.AvatarURL), Phone: value(s.Phone),
		EnrollmentDate: person.FormatDate(s.EnrollmentDate), CurrentModule: value(s.CurrentModule),
		CourseProgress: s.CourseProgress, GraduationDate: person.FormatDate(s.GraduationDate), Version: s.Version,
		CreatedAt: timestamppb.New(s.CreatedAt), UpdatedAt: timestamppb.New(s.UpdatedAt),
	}
}

// checkGraduation refuses a graduation before the enrolment or after today.
func checkGraduation(field string, enrolled, graduated *time.Time, today time.Time) error {
	if graduated == nil {
		return nil
	}
	if enrolled != nil && graduated.Before(*enrolled) {
		return apierr.Invalid(apierr.Violation{
			Field: field, Rule: "student.graduation_date.before_enrollment", Message: "Nobody graduates before he began.",
		})
	}
	if graduated.After(today) {
		return apierr.Invalid(apierr.Violation{
			Field: field, Rule: "student.graduation_date.future", Message: "The day he graduated is not after today.",
		})
	}
	return nil
}

func staffOnly(field, message string) error {
	e := apierr.New(connect.CodePermissionDenied, ReasonStaffOnly, "%s", message)
	e.Violations = []apierr.Violation{{Field: field, Rule: "student." + field + ".staff_only", Message: message}}
	return e
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
