// Package person holds what every kind of people has in common, whoever serves them: how they are called and reached, the
// role that they come with, and the order of their lists. The features that serve candidates, students and users are built
// on it; it serves nobody itself. Start at Contact and Admit.
package person

import (
	"context"
	"fmt"
	"strings"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	userv1 "github.com/intime-solutions/intime/gen/go/intime/user/v1"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// ReasonEmailTaken is the reason for an address that somebody in the organisation has already.
const ReasonEmailTaken = "USER_EMAIL_TAKEN"

// emailKey is the constraint that keeps an address from being taken twice.
const emailKey = "user_profiles_org_id_email_key"

// Contact is how somebody is called and reached.
type Contact struct {
	Email    string
	FullName string
	Phone    *string // nil for none
}

// NewContact trims what was sent, and writes the address in lower case.
func NewContact(email, fullName, phone string) (Contact, error) {
	if err := CheckName(&fullName); err != nil {
		return Contact{}, err
	}
	c := Contact{Email: strings.ToLower(strings.TrimSpace(email)), FullName: strings.TrimSpace(fullName)}
	if phone != "" {
		c.Phone = &phone
	}
	return c, nil
}

// CheckName refuses a name that trimming leaves nothing of, with the id and sentence that the schema has for that: the
// schema knows the blanks of ASCII, trimming those of Unicode. nil is a name that was not sent.
func CheckName(fullName *string) error {
	if fullName == nil || strings.TrimSpace(*fullName) != "" {
		return nil
	}
	return apierr.Invalid(apierr.Violation{
		Field: "full_name", Rule: "user.full_name", Message: "Give a full name of 1 to 255 characters.",
	})
}

// Taken turns the database's error for an address that is taken into one for the caller; another it leaves as it is. The
// address is one of the caller's own organisation: elsewhere it is free.
func Taken(err error) error {
	if kind, constraint := postgres.KindOf(err); kind != postgres.KindUnique || constraint != emailKey {
		return err
	}
	e := apierr.New(connect.CodeAlreadyExists, ReasonEmailTaken, "Somebody in your organisation has this e-mail address already.")
	e.Violations = []apierr.Violation{{Field: "email", Rule: "user.email.taken", Message: e.Message}}
	return e
}

// Admit gives a new person the role that his kind has, and publishes user.created.
func Admit(ctx context.Context, tx *postgres.Tx, bus *eventbus.Bus, id uuid.UUID, role string) error {
	p, ok := principal.From(ctx)
	if !ok {
		return postgres.ErrNoTenant
	}
	_, err := tx.Exec(ctx, `INSERT INTO public.user_roles (org_id, user_id, role_name, granted_by) VALUES ($1, $2, $3, $4)`,
		p.OrgID, id, role, p.UserID)
	if err != nil {
		return fmt.Errorf("give the role: %w", err)
	}
	_, err = bus.Publish(ctx, tx, &userv1.UserCreated{UserId: id.String(), Role: role}, eventbus.PublishOptions{})
	return err
}

// Standing is what else somebody is.
type Standing struct {
	RoleNames   []string // the roles he holds now
	OtherAdmins int      // how many active admins the organisation has beside him
}

// StandingOf asks what else somebody is. Only whoever may deactivate or delete people may ask, and one at a time: of two
// admins who deactivate each other, the second sees the first gone.
func StandingOf(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (Standing, error) {
	var s Standing
	err := tx.QueryRow(ctx, `SELECT role_names, other_admins FROM app.role_standing($1)`, id).Scan(&s.RoleNames, &s.OtherAdmins)
	if err != nil {
		return Standing{}, fmt.Errorf("find the roles: %w", err)
	}
	return s, nil
}
