package eventbus

import (
	"context"
	"fmt"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// maxCatchUp is how many skipped events enabling a handler runs at most.
const maxCatchUp = 1000

// HandlerService implements intime.event.v1.EventHandlerService.
type HandlerService struct {
	db  *postgres.DB
	bus *Bus
}

// NewHandlerService returns the service.
func NewHandlerService(db *postgres.DB, bus *Bus) *HandlerService {
	return &HandlerService{db: db, bus: bus}
}

// ListEventHandlers returns all handlers, by name.
func (s *HandlerService) ListEventHandlers(
	ctx context.Context, _ *eventv1.ListEventHandlersRequest,
) (*eventv1.ListEventHandlersResponse, error) {
	response := &eventv1.ListEventHandlersResponse{}
	err := s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		all, err := listSubscriptions(ctx, tx)
		for _, sub := range all {
			response.EventHandlers = append(response.EventHandlers, sub.proto(s.bus))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// DisableEventHandler has a handler skip what is published from now on.
func (s *HandlerService) DisableEventHandler(
	ctx context.Context, r *eventv1.DisableEventHandlerRequest,
) (*eventv1.DisableEventHandlerResponse, error) {
	var now *subscription
	err := s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if err := disableSubscription(ctx, tx, r.GetName(), r.GetReason()); err != nil {
			return err
		}
		now, err = findSubscription(ctx, tx, r.GetName())
		return err
	})
	if err != nil {
		return nil, err
	}
	return &eventv1.DisableEventHandlerResponse{EventHandler: now.proto(s.bus)}, nil
}

// EnableEventHandler lets a handler run again.
func (s *HandlerService) EnableEventHandler(
	ctx context.Context, r *eventv1.EnableEventHandlerRequest,
) (*eventv1.EnableEventHandlerResponse, error) {
	response := &eventv1.EnableEventHandlerResponse{}
	err := s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		before, err := findSubscription(ctx, tx, r.GetName())
		if err != nil {
			return err
		}
		if err := enableSubscription(ctx, tx, r.GetName()); err != nil {
			return err
		}
		if r.GetRunSkipped() && !before.IsActive {
			tx.AfterCommit(s.bus.wake.ring)
			// What waited for the dispatcher when the handler was disabled was skipped too.
			err := tx.QueryRow(ctx, `SELECT app.run_skipped($1, coalesce($2::timestamptz, 'epoch') - interval '1 hour', $3)`,
				r.GetName(), before.DisabledAt, maxCatchUp).Scan(&response.CaughtUpCount)
			if err != nil {
				return fmt.Errorf("run skipped events: %w", err)
			}
		}
		now, err := findSubscription(ctx, tx, r.GetName())
		if err != nil {
			return err
		}
		response.EventHandler = now.proto(s.bus)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}
