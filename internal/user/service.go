// Package user serves people's profiles, whatever they are: who somebody is, who there is, and who may sign in. Start at
// Service.
package user

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	userv1 "github.com/intime-solutions/intime/gen/go/intime/user/v1"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/person"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
	"github.com/intime-solutions/intime/internal/platform/page"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// Service implements intime.user.v1.UserService.
type Service struct {
	db  *postgres.DB
	bus *eventbus.Bus
}

// NewService returns the service.
func NewService(db *postgres.DB, bus *eventbus.Bus) *Service { return &Service{db: db, bus: bus} }

// GetMe returns the caller, his organisation, his roles and what they permit.
func (s *Service) GetMe(ctx context.Context, _ *userv1.GetMeRequest) (*userv1.GetMeResponse, error) {
	me, ok := principal.From(ctx)
	if !ok {
		return nil, postgres.ErrNoTenant
	}
	var found *member
	err := s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		found, err = findMember(ctx, tx, me.UserID)
		return err
	})
	if err != nil {
		return nil, err
	}
	response := &userv1.GetMeResponse{User: found.user(), Organization: found.organization(), Roles: me.Roles}
	for _, name := range slices.Sorted(maps.Keys(me.Permissions)) {
		scope := userv1.Permission_SCOPE_OWN
		if me.Permissions[name] == principal.ScopeAll {
			scope = userv1.Permission_SCOPE_ALL
		}
		response.Permissions = append(response.Permissions, &userv1.Permission{Name: name, Scope: scope})
	}
	return response, nil
}

// CreateUser creates a member of the staff, or a client, and publishes user.created in the same transaction. His id is his
// own: he cannot sign in before an issuer of tokens knows it.
func (s *Service) CreateUser(ctx context.Context, r *userv1.CreateUserRequest) (*userv1.CreateUserResponse, error) {
	contact, err := person.NewContact(r.GetEmail(), r.GetFullName(), r.GetPhone())
	if err != nil {
		return nil, err
	}
	hired, err := person.ParseDate("employee_hire_date", r.GetEmployeeHireDate())
	if err != nil {
		return nil, err
	}
	if err := checkKind(r); err != nil {
		return nil, err
	}
	wanted := &profile{Email: contact.Email, FullName: contact.FullName, Phone: contact.Phone}
	role := "employee"
	if hired != nil {
		wanted.EmployeeHireDate, wanted.EmployeeDepartment = hired, trimmed(r.GetEmployeeDepartment())
		wanted.EmployeePosition = trimmed(r.GetEmployeePosition())
	} else {
		role = "client"
		wanted.ClientCompanyName, wanted.ClientIndustry = trimmed(r.GetClientCompanyName()), trimmed(r.GetClientIndustry())
		if r.ClientTier != nil {
			wanted.ClientTier = new(enumtext.Name(r.GetClientTier()))
		}
	}
	var created *profile
	err = s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if created, err = insertProfile(ctx, tx, wanted); err != nil {
			return person.Taken(err)
		}
		return person.Admit(ctx, tx, s.bus, created.ID, role)
	})
	if err != nil {
		return nil, err
	}
	return &userv1.CreateUserResponse{User: created.user()}, nil
}

// GetUser returns a person.
func (s *Service) GetUser(ctx context.Context, r *userv1.GetUserRequest) (*userv1.GetUserResponse, error) {
	id, err := uuid.Parse(r.GetId())
	if err != nil {
		return nil, errNotFound
	}
	var found *profile
	err = s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		found, err = findProfile(ctx, tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &userv1.GetUserResponse{User: found.user()}, nil
}

// ListUsers returns the people whom the caller may see.
func (s *Service) ListUsers(ctx context.Context, r *userv1.ListUsersRequest) (*userv1.ListUsersResponse, error) {
	filters := filtersOf(r)
	after, err := page.Decode(r.GetPageToken(), filters)
	if err != nil {
		return nil, err
	}
	size := page.Size(r.GetPageSize())
	var found []*listed
	err = s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		found, err = listProfiles(ctx, tx, filters, after, size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	response := &userv1.ListUsersResponse{}
	if len(found) > size {
		found = found[:size]
		last := found[size-1]
		if response.NextPageToken, err = (page.Token{After: last.ID, Key: last.SortKey}).Encode(filters); err != nil {
			return nil, err
		}
	}
	for _, p := range found {
		response.Users = append(response.Users, p.user())
	}
	return response, nil
}

func trimmed(text string) *string {
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	return &text
}
