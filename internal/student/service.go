package student

import (
	"context"
	"strings"

	studentv1 "github.com/intime-solutions/intime/gen/go/intime/student/v1"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/person"
	"github.com/intime-solutions/intime/internal/platform/page"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// Service implements intime.student.v1.StudentService.
type Service struct {
	db  *postgres.DB
	bus *eventbus.Bus
}

// NewService returns the service.
func NewService(db *postgres.DB, bus *eventbus.Bus) *Service { return &Service{db: db, bus: bus} }

// CreateStudent creates a student and publishes user.created in the same transaction. His id is his own: he cannot sign in
// before an issuer of tokens knows it.
func (s *Service) CreateStudent(ctx context.Context, r *studentv1.CreateStudentRequest) (*studentv1.CreateStudentResponse, error) {
	contact, err := person.NewContact(r.GetEmail(), r.GetFullName(), r.GetPhone())
	if err != nil {
		return nil, err
	}
	if err := checkModule("current_module", optional(r.GetCurrentModule())); err != nil {
		return nil, err
	}
	enrolled, err := person.ParseDate("enrollment_date", r.GetEnrollmentDate())
	if err != nil {
		return nil, err
	}
	wanted := &student{
		Email: contact.Email, FullName: contact.FullName, Phone: contact.Phone, EnrollmentDate: enrolled,
		CurrentModule: optional(strings.TrimSpace(r.GetCurrentModule())),
	}
	var created *student
	err = s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if created, err = insertStudent(ctx, tx, wanted); err != nil {
			return person.Taken(err)
		}
		return person.Admit(ctx, tx, s.bus, created.ID, "student")
	})
	if err != nil {
		return nil, err
	}
	return &studentv1.CreateStudentResponse{Student: created.proto()}, nil
}

// GetStudent returns a student.
func (s *Service) GetStudent(ctx context.Context, r *studentv1.GetStudentRequest) (*studentv1.GetStudentResponse, error) {
	var found *student
	err := s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		found, err = findStudent(ctx, tx, r.GetId())
		return err
	})
	if err != nil {
		return nil, err
	}
	return &studentv1.GetStudentResponse{Student: found.proto()}, nil
}

// ListStudents returns students.
func (s *Service) ListStudents(ctx context.Context, r *studentv1.ListStudentsRequest) (*studentv1.ListStudentsResponse, error) {
	filters := filtersOf(r)
	after, err := page.Decode(r.GetPageToken(), filters)
	if err != nil {
		return nil, err
	}
	size := page.Size(r.GetPageSize())
	var found []*listed
	err = s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		found, err = listStudents(ctx, tx, filters, after, size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	response := &studentv1.ListStudentsResponse{}
	if len(found) > size {
		found = found[:size]
		last := found[size-1]
		if response.NextPageToken, err = (page.Token{After: last.ID, Key: last.SortKey}).Encode(filters); err != nil {
			return nil, err
		}
	}
	for _, f := range found {
		response.Students = append(response.Students, f.proto())
	}
	return response, nil
}

// DeleteStudent deletes, softly, somebody who is a student and nothing else.
func (s *Service) DeleteStudent(ctx context.Context, r *studentv1.DeleteStudentRequest) (*studentv1.DeleteStudentResponse, error) {
	err := s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		stored, err := lockStudent(ctx, tx, r.GetId(), r.GetVersion())
		if err != nil {
			return err
		}
		if err := requireOnlyStudent(ctx, tx, stored.ID); err != nil {
			return err
		}
		return deleteStudent(ctx, tx, stored.ID)
	})
	if err != nil {
		return nil, err
	}
	return &studentv1.DeleteStudentResponse{}, nil
}

// MarkGraduated marks a student graduated, and publishes course.graduated in the same transaction.
func (s *Service) MarkGraduated(ctx context.Context, r *studentv1.MarkGraduatedRequest) (*studentv1.MarkGraduatedResponse, error) {
	day, err := person.ParseDate("graduation_date", r.GetGraduationDate())
	if err != nil {
		return nil, err
	}
	var graduated *student
	err = s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		stored, err := lockStudent(ctx, tx, r.GetId(), r.GetVersion())
		if err != nil {
			return err
		}
		if stored.GraduationDate != nil {
			return errGraduated
		}
		today, err := today(ctx, tx)
		if err != nil {
			return err
		}
		if stored.GraduationDate = day; day == nil {
			stored.GraduationDate = &today
		}
		if err := checkGraduation("graduation_date", stored.EnrollmentDate, stored.GraduationDate, today); err != nil {
			return err
		}
		if graduated, err = updateStudent(ctx, tx, stored); err != nil {
			return err
		}
		_, err = s.bus.Publish(ctx, tx, &studentv1.CourseGraduated{StudentId: graduated.ID.String(), Grade: r.Grade},
			eventbus.PublishOptions{})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &studentv1.MarkGraduatedResponse{Student: graduated.proto()}, nil
}
