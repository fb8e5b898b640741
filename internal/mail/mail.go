// Package mail sends mail without letting a transaction wait for a mail server: Queue writes a mail into the caller's
// transaction, and a Sender delivers what has committed, over SMTP or into a folder. Start at Queue.
package mail

import (
	"context"
	"fmt"

	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// Mail is a mail to one person.
type Mail struct {
	Content

	// DedupKey makes queueing the same mail again do nothing: the delivery's id and the recipient's, say. Unique in the
	// organisation, at most 400 characters.
	DedupKey string
	To       string // the address
	ToName   string // the name beside it; may be empty
}

// Queue writes mails into the caller's transaction, in one round trip. Only event handlers may; row level security refuses
// everybody else.
func Queue(ctx context.Context, tx *postgres.Tx, mails []Mail) error {
	p, ok := principal.From(ctx)
	if !ok {
		return postgres.ErrNoTenant
	}
	if len(mails) == 0 {
		return nil
	}
	var keys, to, names, subjects, texts, htmls []string
	for _, m := range mails {
		keys = append(keys, m.DedupKey)
		to = append(to, m.To)
		names = append(names, m.ToName)
		subjects = append(subjects, m.Subject)
		texts = append(texts, m.Text)
		htmls = append(htmls, m.HTML)
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO public.outgoing_mails (org_id, dedup_key, recipient, recipient_name, subject, text_body, html_body)
		SELECT $1, m.* FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) AS m
		ON CONFLICT DO NOTHING`,
		p.OrgID, keys, to, names, subjects, texts, htmls)
	if err != nil {
		return fmt.Errorf("queue mail: %w", err)
	}
	return nil
}
