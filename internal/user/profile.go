package user

import (
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	userv1 "github.com/intime-solutions/intime/gen/go/intime/user/v1"
	"github.com/intime-solutions/intime/internal/person"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
)

// The reasons of this service's errors.
const (
	ReasonNotFound = "USER_NOT_FOUND"     // there is no such person, or none whom the caller may see
	ReasonStale    = "USER_VERSION_STALE" // the profile was changed since the version that the caller names
)

var (
	errNotFound = apierr.NotFound(ReasonNotFound, "user")
	errStale    = apierr.Stale(ReasonStale, "profile")
)

// profile is a row of user_profiles, but for what makes the person a candidate or a student.
type profile struct {
	ID                    uuid.UUID
	Email                 string
	FullName              string
	AvatarURL             *string
	Phone                 *string
	IsActive              bool
	OnboardingCompletedAt *time.Time
	EmployeeHireDate      *time.Time
	EmployeeDepartment    *string
	EmployeePosition      *string
	ClientCompanyName     *string
	ClientIndustry        *string
	ClientTier            *string
	Version               int64
	CreatedAt             time.Time
	UpdatedAt             time.Time
}

func (p *profile) user() *userv1.User {
	u := &userv1.User{
		Id: p.ID.String(), Email: p.Email, FullName: p.FullName, AvatarUrl: value(p.AvatarURL), Phone: value(p.Phone),
		IsActive: p.IsActive, Version: p.Version, EmployeeHireDate: person.FormatDate(p.EmployeeHireDate),
		EmployeeDepartment: value(p.EmployeeDepartment), EmployeePosition: value(p.EmployeePosition),
		ClientCompanyName: value(p.ClientCompanyName), ClientIndustry: value(p.ClientIndustry),
		ClientTier: enumtext.Value[userv1.ClientTier](value(p.ClientTier)),
		CreatedAt:  timestamppb.New(p.CreatedAt), UpdatedAt: timestamppb.New(p.UpdatedAt),
	}
	if p.OnboardingCompletedAt != nil {
		u.OnboardingCompletedAt = timestamppb.New(*p.OnboardingCompletedAt)
	}
	return u
}

// checkKind refuses a company that trimming leaves nothing of, as the schema does for the blanks that it knows, and what
// belongs to the other kind of person.
func checkKind(r *userv1.CreateUserRequest) error {
	var violations []apierr.Violation
	blame := func(wrong bool, field, rule, message string) {
		if wrong {
			violations = append(violations, apierr.Violation{Field: field, Rule: rule, Message: message})
		}
	}
	hired := r.GetEmployeeHireDate() != ""
	const staff, client = "Only the staff has this.", "Only a client has this."
	blame(!hired && strings.TrimSpace(r.GetClientCompanyName()) == "", "client_company_name", "client_company_name.one_kind",
		"Somebody is of the staff or a client: say the day he was hired, or his company, and not both.")
	blame(!hired && r.GetEmployeeDepartment() != "", "employee_department", "user.employee_department.staff", staff)
	blame(!hired && r.GetEmployeePosition() != "", "employee_position", "user.employee_position.staff", staff)
	blame(hired && r.GetClientIndustry() != "", "client_industry", "user.client_industry.client", client)
	blame(hired && r.ClientTier != nil, "client_tier", "user.client_tier.client", client)
	if len(violations) > 0 {
		return apierr.Invalid(violations...)
	}
	return nil
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
