package mail

import (
	"context"
	"fmt"
	"maps"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// Recipient is somebody who is to be told of an event.
type Recipient struct {
	UserID   uuid.UUID
	Email    string
	FullName string
}

// Recipients are the people whom an event of that type concerns, by their roles: the database knows which. Only the
// event's handlers may ask, and they may ask for more than the publisher sees: who graduates a student need not be allowed
// to see the recruiters.
func Recipients(ctx context.Context, tx *postgres.Tx, eventID uuid.UUID, eventType string) ([]Recipient, error) {
	rows, err := tx.Query(ctx, `SELECT user_id, email, full_name FROM app.event_recipients($1, $2)`, eventID, eventType)
	if err != nil {
		return nil, fmt.Errorf("find who is to be told: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Recipient])
	if err != nil {
		return nil, fmt.Errorf("find who is to be told: %w", err)
	}
	return found, nil
}

// Tell queues a mail for each recipient; the template knows him as Recipient, beside the data. The delivery's id makes
// telling again do nothing.
func Tell(ctx context.Context, tx *postgres.Tx, deliveryID uuid.UUID, to []Recipient, t *Template, data map[string]any) error {
	mails := make([]Mail, 0, len(to))
	for _, r := range to {
		filled := map[string]any{"Recipient": r.FullName}
		maps.Copy(filled, data)
		content, err := t.Render(filled)
		if err != nil {
			return err
		}
		mails = append(mails, Mail{
			DedupKey: deliveryID.String() + "/" + r.UserID.String(), To: r.Email, ToName: r.FullName, Content: content,
		})
	}
	return Queue(ctx, tx, mails)
}
