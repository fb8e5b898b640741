package user

import (
	"context"
	"embed"
	"errors"
	"strings"

	"github.com/google/uuid"

	userv1 "github.com/intime-solutions/intime/gen/go/intime/user/v1"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/mail"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

//go:embed mails
var mailFiles embed.FS

// RegisterHandlers adds the feature's handlers to the bus.
func RegisterHandlers(bus *eventbus.Bus) error {
	welcome, err := mail.ParseTemplate(mailFiles, "mails/welcome")
	if err != nil {
		return err
	}
	onboarded, err := mail.ParseTemplate(mailFiles, "mails/onboarding_completed")
	if err != nil {
		return err
	}
	h := &handlers{welcome: welcome, onboarded: onboarded}
	eventbus.Handle(bus, "send_welcome_email", h.sendWelcomeEmail, eventbus.HandlerOptions{})
	eventbus.Handle(bus, "notify_team", h.notifyTeam, eventbus.HandlerOptions{})
	return nil
}

// handlers tell people about people. They ask the database for the person: the mail says what is true now, and nobody
// hears of a profile that was deleted meanwhile.
type handlers struct{ welcome, onboarded *mail.Template }

// sendWelcomeEmail welcomes a person whose profile was created. He is welcomed once, however often he is announced.
func (h *handlers) sendWelcomeEmail(ctx context.Context, tx *postgres.Tx, d eventbus.Delivery[*userv1.UserCreated]) error {
	p, err := personOf(ctx, tx, d.Event.GetUserId())
	if err != nil || p == nil {
		return err
	}
	content, err := h.welcome.Render(map[string]any{
		"Name": p.FullName, "Email": p.Email, "Organization": p.OrgName,
		"Role": strings.ReplaceAll(d.Event.GetRole(), "_", " "),
	})
	if err != nil {
		return eventbus.Permanent(err)
	}
	return mail.Queue(ctx, tx, []mail.Mail{{
		DedupKey: "welcome/" + p.ID.String(), To: p.Email, ToName: p.FullName, Content: content,
	}})
}

// notifyTeam tells the organisation's admins and HR managers that somebody has completed his onboarding.
func (h *handlers) notifyTeam(ctx context.Context, tx *postgres.Tx, d eventbus.Delivery[*userv1.UserOnboardingCompleted]) error {
	p, err := personOf(ctx, tx, d.Event.GetUserId())
	if err != nil || p == nil {
		return err
	}
	team, err := mail.Recipients(ctx, tx, d.EventID, d.Event.EventType())
	if err != nil {
		return err
	}
	return mail.Tell(ctx, tx, d.ID, team, h.onboarded, map[string]any{"Name": p.FullName, "Email": p.Email})
}

// personOf is the person of an event; nil for one whom the publisher may not see, or who was deleted or deactivated.
func personOf(ctx context.Context, tx *postgres.Tx, text string) (*member, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return nil, eventbus.Permanent(err)
	}
	p, err := findMember(ctx, tx, id)
	switch {
	case errors.Is(err, errNotFound):
		return nil, nil //nolint:nilnil // nobody is an answer
	case err != nil:
		return nil, err
	case !p.IsActive:
		return nil, nil //nolint:nilnil // as above
	}
	return p, nil
}
