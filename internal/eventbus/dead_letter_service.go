package eventbus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/page"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// DeadLetterService implements intime.event.v1.DeadLetterService.
type DeadLetterService struct {
	db     *postgres.DB
	events *Service
}

// NewDeadLetterService returns the service.
func NewDeadLetterService(db *postgres.DB, bus *Bus) *DeadLetterService {
	return &DeadLetterService{db: db, events: NewService(db, bus)}
}

// ListDeadLetters returns dead letters, those of the newest events first.
func (s *DeadLetterService) ListDeadLetters(
	ctx context.Context, r *eventv1.ListDeadLettersRequest,
) (*eventv1.ListDeadLettersResponse, error) {
	by, err := deadLetterFiltersOf(r)
	if err != nil {
		return nil, err
	}
	after, err := page.Decode(r.GetPageToken(), by)
	if err != nil {
		return nil, err
	}
	size := page.Size(r.GetPageSize())
	response := &eventv1.ListDeadLettersResponse{}
	err = s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := listDeadLetters(ctx, tx, by, after, size+1)
		if err != nil {
			return err
		}
		if len(rows) > size {
			rows = rows[:size]
			last := rows[size-1]
			if response.NextPageToken, err = (page.Token{After: last.EventID, Key: last.HandlerName}).Encode(by); err != nil {
				return err
			}
		}
		for _, row := range rows {
			response.DeadLetters = append(response.DeadLetters, row.proto())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// RetryDeadLetters runs dead letters again: a replay of these deliveries.
func (s *DeadLetterService) RetryDeadLetters(
	ctx context.Context, r *eventv1.RetryDeadLettersRequest,
) (*eventv1.RetryDeadLettersResponse, error) {
	keys := keysOf(r.GetDeadLetters())
	asked, err := json.Marshal(map[string]any{"ids": keys.eventIDs, "handlers": keys.handlers})
	if err != nil {
		return nil, fmt.Errorf("encode the choice: %w", err)
	}
	choice := &replayChoice{mode: "failed", asked: asked, ids: keys.eventIDs, handlers: keys.handlers}
	response := &eventv1.RetryDeadLettersResponse{}
	err = s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		known, err := countDeliveries(ctx, tx, keys)
		if err != nil {
			return err
		}
		_, replay, err := s.events.replayNow(ctx, tx, choice)
		if err != nil {
			return err
		}
		if replay != nil {
			response.RetriedCount, response.ReplayId = replay.ReplayedCount, replay.ID.String()
		}
		response.SkippedCount = known - response.GetRetriedCount()
		response.NotFoundCount = keys.count() - known
		return nil
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// DiscardDeadLetters ends dead letters for good.
func (s *DeadLetterService) DiscardDeadLetters(
	ctx context.Context, r *eventv1.DiscardDeadLettersRequest,
) (*eventv1.DiscardDeadLettersResponse, error) {
	keys := keysOf(r.GetDeadLetters())
	response := &eventv1.DiscardDeadLettersResponse{}
	err := s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, `SELECT discarded, skipped, not_found FROM app.discard_dead_letters($1::uuid[], $2, $3)`,
			keys.eventIDs, keys.handlers, strings.TrimSpace(r.GetReason())).
			Scan(&response.DiscardedCount, &response.SkippedCount, &response.NotFoundCount)
	})
	if err != nil {
		return nil, fmt.Errorf("discard dead letters: %w", err)
	}
	return response, nil
}

// deliveryKeys name deliveries; the slices run in parallel.
type deliveryKeys struct{ eventIDs, handlers []string }

func keysOf(sent []*eventv1.DeliveryKey) deliveryKeys {
	var keys deliveryKeys
	for _, key := range sent {
		keys.eventIDs = append(keys.eventIDs, key.GetEventId())
		keys.handlers = append(keys.handlers, key.GetHandlerName())
	}
	return keys
}

// count is how many different deliveries are named.
func (k deliveryKeys) count() int32 {
	type key struct {
		event   uuid.UUID
		handler string
	}
	different := map[key]bool{}
	for i, id := range k.eventIDs {
		different[key{uuid.MustParse(id), k.handlers[i]}] = true
	}
	return int32(len(different)) //nolint:gosec // at most 100
}
