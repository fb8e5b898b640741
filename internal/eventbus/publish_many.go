package eventbus

import (
	"context"
	"errors"
	"fmt"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// MaxPublications is how many events one PublishMany takes.
const MaxPublications = 1000

// Item is one event of many.
type Item struct {
	Event   Event
	Options PublishOptions
}

// ItemError is what is wrong with one event of many.
type ItemError struct {
	Index int // its place, counted from 0
	Err   error
}

// Error says which event is wrong, and why.
func (e *ItemError) Error() string { return fmt.Sprintf("event %d: %s", e.Index, e.Err) }

// Unwrap returns why.
func (e *ItemError) Unwrap() error { return e.Err }

// PublishMany is Publish for up to MaxPublications events in as few round trips: all of them, or none. The error joins an
// *ItemError for each event that breaks rules.
func (b *Bus) PublishMany(ctx context.Context, tx *postgres.Tx, items []Item) ([]Publication, error) {
	if len(items) > MaxPublications {
		return nil, fmt.Errorf("publish %d events: at most %d at once", len(items), MaxPublications)
	}
	rows := make([]eventRow, len(items))
	var wrong []error
	for i, item := range items {
		row, err := b.newEventRow(ctx, item.Event, item.Options)
		if err != nil {
			wrong = append(wrong, &ItemError{Index: i, Err: err})
		}
		rows[i] = row
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return b.publish(ctx, tx, rows)
}
