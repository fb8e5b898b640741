package eventbus

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const insertEvent = `
	INSERT INTO public.events (id, org_id, type, schema_version, payload, metadata, created_by, source,
		correlation_id, causation_id, depth)
	VALUES ($1, $2, $3::text, $4, $5::jsonb, $6::jsonb, $7, $8::text, $9, $10, $11)`

// insertEvents writes rows: one as it is, many in one statement, so that the trigger runs once for all of them.
func insertEvents(ctx context.Context, tx *postgres.Tx, rows []eventRow) error {
	if len(rows) == 1 {
		row := rows[0]
		if _, err := tx.Exec(ctx, insertEvent, row.ID, row.OrgID, row.Type, row.SchemaVersion, row.Payload, row.Metadata,
			row.CreatedBy, row.Source, row.CorrelationID, row.CausationID, row.Depth); err != nil {
			return cascadeRefusal(fmt.Errorf("insert event: %w", err))
		}
		return nil
	}
	// What one caller publishes at once shares all but the facts.
	same := rows[0]
	ids, correlations := make([]uuid.UUID, len(rows)), make([]uuid.UUID, len(rows))
	types, payloads := make([]string, len(rows)), make([]string, len(rows))
	versions := make([]int32, len(rows))
	for i, row := range rows {
		ids[i], correlations[i] = row.ID, row.CorrelationID
		types[i], payloads[i], versions[i] = row.Type, string(row.Payload), row.SchemaVersion
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO public.events (id, org_id, type, schema_version, payload, metadata, created_by, source,
			correlation_id, causation_id, depth)
		SELECT n.id, $6, n.type, n.schema_version, n.payload::jsonb, $7::jsonb, $8, $9::text, n.correlation_id, $10, $11
		FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::text[], $5::uuid[])
			AS n (id, type, schema_version, payload, correlation_id)`,
		ids, types, versions, payloads, correlations,
		same.OrgID, same.Metadata, same.CreatedBy, same.Source, same.CausationID, same.Depth)
	if err != nil {
		return cascadeRefusal(fmt.Errorf("insert events: %w", err))
	}
	return nil
}

// claimKeys takes the idempotency keys of the rows that have one. For a row whose key was taken before, by this very
// event, it answers with the id that the event had then; for the others with uuid.Nil.
func claimKeys(ctx context.Context, tx *postgres.Tx, rows []eventRow) ([]uuid.UUID, error) {
	firsts := make([]uuid.UUID, len(rows))
	var keyed []int
	for i, row := range rows {
		if row.key != "" {
			keyed = append(keyed, i)
		}
	}
	if len(keyed) == 0 {
		return firsts, nil
	}
	// In one order, so that two callers with the same keys do not wait for each other.
	slices.SortStableFunc(keyed, func(i, j int) int { return cmp.Compare(rows[i].key, rows[j].key) })
	taken, err := insertKeys(ctx, tx, rows, keyed)
	if err != nil {
		return nil, err
	}
	for _, i := range taken {
		if firsts[i], err = firstOf(ctx, tx, rows[i]); err != nil {
			if len(rows) > 1 {
				err = &ItemError{Index: i, Err: err}
			}
			return nil, err
		}
	}
	return firsts, nil
}

// insertKeys returns the rows whose key was there already.
func insertKeys(ctx context.Context, tx *postgres.Tx, rows []eventRow, keyed []int) (taken []int, err error) {
	var batch pgx.Batch
	for _, i := range keyed {
		batch.Queue(`
			INSERT INTO public.event_idempotency_keys (org_id, key, event_id, payload_hash)
			VALUES ($1, $2, $3, app.event_digest($4, $5))
			ON CONFLICT ON CONSTRAINT event_idempotency_keys_pkey DO NOTHING`,
			rows[i].OrgID, rows[i].key, rows[i].ID, rows[i].Type, rows[i].Payload)
	}
	results := tx.SendBatch(ctx, &batch)
	defer func() { _ = results.Close() }()
	for _, i := range keyed {
		tag, err := results.Exec()
		if err != nil {
			return nil, fmt.Errorf("claim idempotency key: %w", err)
		}
		if tag.RowsAffected() == 0 {
			taken = append(taken, i)
		}
	}
	return taken, nil
}

// firstOf returns the id of the event that took the row's key, which has to be the same event.
func firstOf(ctx context.Context, tx *postgres.Tx, row eventRow) (uuid.UUID, error) {
	var (
		first uuid.UUID
		same  bool
	)
	err := tx.QueryRow(ctx, `
		SELECT event_id, payload_hash = app.event_digest($3, $4)
		FROM public.event_idempotency_keys WHERE org_id = $1 AND key = $2`,
		row.OrgID, row.key, row.Type, row.Payload).Scan(&first, &same)
	if err != nil {
		return uuid.Nil, fmt.Errorf("read idempotency key: %w", err)
	}
	if !same {
		e := apierr.New(connect.CodeAlreadyExists, ReasonKeyReused, "This idempotency key was used for another event.")
		e.Violations = []apierr.Violation{{Field: "idempotency_key", Rule: "event.key.reused", Message: e.Message}}
		return uuid.Nil, e
	}
	return first, nil
}
