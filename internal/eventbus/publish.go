package eventbus

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// Source says what published an event.
type Source string

// The sources. SQL publishes by the function publish_event.
const (
	SourceAPI     Source = "api"
	SourceHandler Source = "handler"
	SourceCLI     Source = "cli"
	SourceSystem  Source = "system"
)

// PublishOptions are what a publication may say beside its payload.
type PublishOptions struct {
	// IdempotencyKey makes publishing the same again answer with the first event. At most 200 characters, unique in the
	// organisation. Publishing another event under the key is an error.
	IdempotencyKey string
	// Source defaults to SourceAPI, and in a handler to SourceHandler.
	Source Source
}

// Publication is what became of a publish.
type Publication struct {
	ID           uuid.UUID
	Deduplicated bool // the key had been used for this very event: ID is the first one's
}

// Publish writes the event into the caller's transaction, under his row level security. Nothing is seen and nothing runs
// unless the transaction commits; then the dispatcher is woken. In a handler the event continues the handler's cascade.
//
// It returns an *apierr.Error, or protovalidate's, for an event that breaks rules.
func (b *Bus) Publish(ctx context.Context, tx *postgres.Tx, event Event, opts PublishOptions) (Publication, error) {
	row, err := b.newEventRow(ctx, event, opts)
	if err != nil {
		return Publication{}, err
	}
	published, err := b.publish(ctx, tx, []eventRow{row})
	if err != nil {
		return Publication{}, err
	}
	return published[0], nil
}

// publish writes the rows that are new and answers for all, in order.
func (b *Bus) publish(ctx context.Context, tx *postgres.Tx, rows []eventRow) ([]Publication, error) {
	firsts, err := claimKeys(ctx, tx, rows)
	if err != nil {
		return nil, err
	}
	published := make([]Publication, len(rows))
	var fresh []eventRow
	for i, row := range rows {
		if first := firsts[i]; first != uuid.Nil {
			published[i] = Publication{ID: first, Deduplicated: true}
			continue
		}
		published[i] = Publication{ID: row.ID}
		fresh = append(fresh, row)
	}
	if len(fresh) == 0 {
		return published, nil
	}
	if err := insertEvents(ctx, tx, fresh); err != nil {
		return nil, err
	}
	tx.AfterCommit(b.wake.ring)
	return published, nil
}

// eventRow is what publishing writes.
type eventRow struct {
	ID            uuid.UUID
	OrgID         uuid.UUID
	Type          string
	SchemaVersion int32
	Payload       []byte
	Metadata      []byte
	CreatedBy     *uuid.UUID
	Source        Source
	CorrelationID uuid.UUID
	CausationID   *uuid.UUID
	Depth         int32
	key           string
}

func (b *Bus) newEventRow(ctx context.Context, event Event, opts PublishOptions) (eventRow, error) {
	p, ok := principal.From(ctx)
	if !ok {
		return eventRow{}, postgres.ErrNoTenant
	}
	if _, known := b.types.Lookup(event.EventType()); !known {
		return eventRow{}, fmt.Errorf("event type %s is not in the catalogue", event.EventType())
	}
	payload, err := encodePayload(event)
	if err != nil {
		return eventRow{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return eventRow{}, fmt.Errorf("make an event id: %w", err)
	}
	request := principal.RequestFrom(ctx)
	metadata := map[string]string{}
	if request.ID != "" {
		metadata["request_id"] = request.ID
	}
	if request.Procedure != "" {
		metadata["procedure"] = request.Procedure
	}
	encoded, err := json.Marshal(metadata)
	if err != nil {
		return eventRow{}, fmt.Errorf("encode metadata: %w", err)
	}
	row := eventRow{
		ID: id, OrgID: p.OrgID, Type: event.EventType(), SchemaVersion: event.EventVersion(),
		Payload: payload, Metadata: encoded, Source: opts.Source, CorrelationID: id, key: opts.IdempotencyKey,
	}
	if !p.IsSystem() {
		row.CreatedBy = &p.UserID
	}
	if row.Source == "" {
		row.Source = SourceAPI
	}
	if run := runFrom(ctx); run != nil {
		if err := run.admit(event.EventType()); err != nil {
			return eventRow{}, err
		}
		row.Source = SourceHandler
		row.CorrelationID, row.CausationID, row.Depth = run.correlationID, &run.eventID, run.depth+1
	}
	return row, nil
}
