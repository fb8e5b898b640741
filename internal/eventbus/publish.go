package eventbus

import (
	"context"
	"encoding/json"
	"fmt"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/intime-solutions/intime/internal/platform/apierr"
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
	p, ok := principal.From(ctx)
	if !ok {
		return Publication{}, postgres.ErrNoTenant
	}
	if _, known := b.types.Lookup(event.EventType()); !known {
		return Publication{}, fmt.Errorf("event type %s is not in the catalogue", event.EventType())
	}
	payload, err := encodePayload(event)
	if err != nil {
		return Publication{}, err
	}
	row, err := newEventRow(ctx, p, event, payload, opts)
	if err != nil {
		return Publication{}, err
	}
	if opts.IdempotencyKey != "" {
		first, err := claimKey(ctx, tx, row, opts.IdempotencyKey)
		if err != nil || first != uuid.Nil {
			return Publication{ID: first, Deduplicated: first != uuid.Nil}, err
		}
	}
	if err := insertEvent(ctx, tx, row); err != nil {
		return Publication{}, err
	}
	tx.AfterCommit(b.wake.ring)
	return Publication{ID: row.ID}, nil
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
}

func newEventRow(ctx context.Context, p principal.Principal, event Event, payload []byte, opts PublishOptions) (eventRow, error) {
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
		Payload: payload, Metadata: encoded, Source: opts.Source, CorrelationID: id,
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

func insertEvent(ctx context.Context, tx *postgres.Tx, row eventRow) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO public.events (id, org_id, type, schema_version, payload, metadata, created_by, source,
			correlation_id, causation_id, depth)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		row.ID, row.OrgID, row.Type, row.SchemaVersion, row.Payload, row.Metadata, row.CreatedBy, row.Source,
		row.CorrelationID, row.CausationID, row.Depth)
	if err != nil {
		return fmt.Errorf("insert event: %w", err)
	}
	return nil
}

// claimKey takes the key for the row, or returns the id of the event that took it before.
func claimKey(ctx context.Context, tx *postgres.Tx, row eventRow, key string) (uuid.UUID, error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO public.event_idempotency_keys (org_id, key, event_id, payload_hash)
		VALUES ($1, $2, $3, app.event_digest($4, $5))
		ON CONFLICT ON CONSTRAINT event_idempotency_keys_pkey DO NOTHING`,
		row.OrgID, key, row.ID, row.Type, row.Payload)
	if err != nil {
		return uuid.Nil, fmt.Errorf("claim idempotency key: %w", err)
	}
	if tag.RowsAffected() == 1 {
		return uuid.Nil, nil
	}
	type claimed struct {
		EventID uuid.UUID
		Same    bool
	}
	rows, err := tx.Query(ctx, `
		SELECT event_id, payload_hash = app.event_digest($3, $4) AS same
		FROM public.event_idempotency_keys WHERE org_id = $1 AND key = $2`, row.OrgID, key, row.Type, row.Payload)
	if err != nil {
		return uuid.Nil, fmt.Errorf("read idempotency key: %w", err)
	}
	first, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[claimed])
	if err != nil {
		return uuid.Nil, fmt.Errorf("read idempotency key: %w", err)
	}
	if !first.Same {
		e := apierr.New(connect.CodeAlreadyExists, ReasonKeyReused, "This idempotency key was used for another event.")
		e.Violations = []apierr.Violation{{Field: "idempotency_key", Rule: "event.key.reused", Message: e.Message}}
		return uuid.Nil, e
	}
	return first.EventID, nil
}
