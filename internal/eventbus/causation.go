package eventbus

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// maxNodes is how many events a graph has at most.
const maxNodes = 1000

// GetCausation returns everything that one first event led to.
func (s *Service) GetCausation(ctx context.Context, r *eventv1.GetCausationRequest) (*eventv1.GetCausationResponse, error) {
	response := &eventv1.GetCausationResponse{}
	err := s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		correlation, err := findCorrelation(ctx, tx, r.GetId())
		if err != nil {
			return err
		}
		events, err := listCorrelated(ctx, tx, correlation)
		if err != nil {
			return err
		}
		// A cause stands before its effects, so what is cut off is not a cause of what stays.
		if len(events) > maxNodes {
			events, response.Truncated = events[:maxNodes], true
		}
		response.CorrelationId = correlation.String()
		return fillGraph(ctx, tx, response, events)
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// fillGraph makes nodes and edges of the events.
func fillGraph(ctx context.Context, tx *postgres.Tx, graph *eventv1.GetCausationResponse, events []correlated) error {
	ids := make([]uuid.UUID, len(events))
	at := map[uuid.UUID]*eventv1.CausationNode{}
	for i, e := range events {
		node := &eventv1.CausationNode{
			EventId: e.ID.String(), Type: e.Type, Status: enumtext.Value[eventv1.EventStatus](e.Status), Depth: e.Depth,
			PublishedAt: timestamppb.New(e.PublishedAt),
		}
		ids[i], at[e.ID] = e.ID, node
		graph.Nodes = append(graph.Nodes, node)
		if e.CausationID != nil && at[*e.CausationID] != nil {
			graph.Edges = append(graph.Edges, &eventv1.CausationEdge{CauseId: e.CausationID.String(), EffectId: e.ID.String()})
		}
	}
	deliveries, err := listDeliveries(ctx, tx, ids...)
	for _, d := range deliveries {
		at[d.EventID].Deliveries = append(at[d.EventID].Deliveries, &eventv1.CausationDelivery{
			HandlerName: d.HandlerName, Status: enumtext.Value[eventv1.DeliveryStatus](d.Status),
		})
	}
	return err
}

// correlated is an event of a graph.
type correlated struct {
	ID          uuid.UUID
	Type        string
	Status      string
	Depth       int32
	PublishedAt time.Time
	CausationID *uuid.UUID
}

// findCorrelation returns the correlation id that an id is, or that the event of that id has.
func findCorrelation(ctx context.Context, tx *postgres.Tx, id string) (uuid.UUID, error) {
	var found *uuid.UUID
	err := tx.QueryRow(ctx, `
		SELECT coalesce((SELECT e.correlation_id FROM public.events e WHERE e.id = $1::uuid),
			(SELECT e.correlation_id FROM public.events e WHERE e.correlation_id = $1::uuid LIMIT 1))`, id).Scan(&found)
	if err != nil {
		return uuid.Nil, fmt.Errorf("find the correlation id: %w", err)
	}
	if found == nil {
		return uuid.Nil, apierr.NotFound(ReasonNotFound, "event")
	}
	return *found, nil
}

// listCorrelated returns the events of a graph, and one more than it may have where there are too many.
func listCorrelated(ctx context.Context, tx *postgres.Tx, correlation uuid.UUID) ([]correlated, error) {
	rows, err := tx.Query(ctx, `
		SELECT id, type, status, depth, published_at, causation_id
		FROM public.events WHERE correlation_id = $1 ORDER BY depth, id LIMIT $2`, correlation, maxNodes+1)
	if err != nil {
		return nil, fmt.Errorf("list what an event led to: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[correlated])
	if err != nil {
		return nil, fmt.Errorf("list what an event led to: %w", err)
	}
	return found, nil
}
