// Package alert tells an organisation's admins, by mail, what the bus announces: a handler that was disabled, and the first
// dead letter of a handler since it was last well. Start at RegisterHandlers.
package alert

import (
	"context"
	"embed"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/mail"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

//go:embed mails
var mailFiles embed.FS

// RegisterHandlers adds the handlers to the bus: a handler has one event type, so there are two.
func RegisterHandlers(bus *eventbus.Bus) error {
	disabled, err := mail.ParseTemplate(mailFiles, "mails/handler_disabled")
	if err != nil {
		return err
	}
	dead, err := mail.ParseTemplate(mailFiles, "mails/dead_letter")
	if err != nil {
		return err
	}
	eventbus.Handle(bus, "notify_operators",
		func(ctx context.Context, tx *postgres.Tx, d eventbus.Delivery[*eventv1.HandlerDisabled]) error {
			return notify(ctx, tx, d.ID, disabled, map[string]any{
				"Handler": d.Event.GetHandlerName(), "Type": d.Event.GetType(), "Why": d.Event.GetReason(),
			})
		}, eventbus.HandlerOptions{})
	eventbus.Handle(bus, "notify_operators_of_dead_letter",
		func(ctx context.Context, tx *postgres.Tx, d eventbus.Delivery[*eventv1.EventDeadLettered]) error {
			return notify(ctx, tx, d.ID, dead, map[string]any{
				"Handler": d.Event.GetHandlerName(), "Type": d.Event.GetType(), "Event": d.Event.GetEventId(),
				"Why": d.Event.GetReason(),
			})
		}, eventbus.HandlerOptions{})
	return nil
}

// admin is somebody who gets mail.
type admin struct {
	ID       uuid.UUID
	Email    string
	FullName string
}

// notify queues a mail for every admin of the organisation, where it wants that.
func notify(ctx context.Context, tx *postgres.Tx, delivery uuid.UUID, template *mail.Template, facts map[string]any) error {
	if wanted, err := eventbus.OperatorsWantMail(ctx, tx); err != nil || !wanted {
		return err
	}
	admins, err := listAdmins(ctx, tx)
	if err != nil {
		return err
	}
	mails := make([]mail.Mail, 0, len(admins))
	for _, a := range admins {
		facts["Name"] = a.FullName
		content, err := template.Render(facts)
		if err != nil {
			return eventbus.Permanent(err)
		}
		mails = append(mails, mail.Mail{
			DedupKey: delivery.String() + "/" + a.ID.String(), To: a.Email, ToName: a.FullName, Content: content,
		})
	}
	return mail.Queue(ctx, tx, mails)
}

func listAdmins(ctx context.Context, tx *postgres.Tx) ([]admin, error) {
	rows, err := tx.Query(ctx, `
		SELECT p.id, p.email, p.full_name
		FROM public.user_roles r JOIN public.user_profiles p ON p.org_id = r.org_id AND p.id = r.user_id
		WHERE r.role_name = 'admin' AND r.revoked_at IS NULL AND (r.expires_at IS NULL OR r.expires_at > now())
		  AND p.is_active AND p.deleted_at IS NULL
		ORDER BY p.id`)
	if err != nil {
		return nil, fmt.Errorf("find admins: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[admin])
	if err != nil {
		return nil, fmt.Errorf("find admins: %w", err)
	}
	return found, nil
}
