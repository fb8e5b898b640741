package eventbus

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/page"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// Service implements intime.event.v1.EventService.
type Service struct {
	db      *postgres.DB
	bus     *Bus
	feeds   *feeds
	exports exports
}

// NewService returns the service.
func NewService(db *postgres.DB, bus *Bus) *Service {
	return &Service{db: db, bus: bus, feeds: newFeeds(db, bus)}
}

// PublishEvent publishes an event whose payload the caller sent as JSON.
func (s *Service) PublishEvent(ctx context.Context, r *eventv1.PublishEventRequest) (*eventv1.PublishEventResponse, error) {
	item, err := s.parse(r)
	if err != nil {
		return nil, err
	}
	var published Publication
	err = s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		published, err = s.bus.Publish(ctx, tx, item.Event, item.Options)
		return err
	})
	if err != nil {
		return nil, underField(err, "", item.Event)
	}
	return published.proto(), nil
}

// PublishEvents publishes many events, or none.
func (s *Service) PublishEvents(ctx context.Context, r *eventv1.PublishEventsRequest) (*eventv1.PublishEventsResponse, error) {
	items := make([]Item, len(r.GetEvents()))
	var wrong []error
	for i, e := range r.GetEvents() {
		item, err := s.parse(e)
		if err != nil {
			wrong = append(wrong, &ItemError{Index: i, Err: err})
		}
		items[i] = item
	}
	if len(wrong) > 0 {
		return nil, underItems(errors.Join(wrong...), items)
	}
	var published []Publication
	err := s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		published, err = s.bus.PublishMany(ctx, tx, items)
		return err
	})
	if err != nil {
		return nil, underItems(err, items)
	}
	response := &eventv1.PublishEventsResponse{}
	for _, p := range published {
		response.Events = append(response.Events, p.proto())
	}
	return response, nil
}

// GetEvent returns an event with its deliveries and their attempts.
func (s *Service) GetEvent(ctx context.Context, r *eventv1.GetEventRequest) (*eventv1.GetEventResponse, error) {
	var found *eventv1.Event
	err := s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		row, err := findEvent(ctx, tx, r.GetId())
		if err != nil {
			return err
		}
		deliveries, err := listDeliveries(ctx, tx, row.ID)
		if err != nil {
			return err
		}
		attempts, err := listAttempts(ctx, tx, row.ID)
		if err != nil {
			return err
		}
		found, err = row.proto()
		if err != nil {
			return err
		}
		for _, d := range deliveries {
			p := d.proto()
			for _, a := range attempts {
				if a.HandlerName == d.HandlerName {
					p.Attempts = append(p.Attempts, a.proto())
				}
			}
			found.Deliveries = append(found.Deliveries, p)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &eventv1.GetEventResponse{Event: found}, nil
}

// ListEvents returns events, newest first, with their deliveries.
func (s *Service) ListEvents(ctx context.Context, r *eventv1.ListEventsRequest) (*eventv1.ListEventsResponse, error) {
	filters, err := filtersOf(r)
	if err != nil {
		return nil, err
	}
	after, err := page.Decode(r.GetPageToken(), filters)
	if err != nil {
		return nil, err
	}
	size := page.Size(r.GetPageSize())
	response := &eventv1.ListEventsResponse{}
	err = s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := listEvents(ctx, tx, filters, after.After, size+1)
		if err != nil {
			return err
		}
		if len(rows) > size {
			rows = rows[:size]
			if response.NextPageToken, err = (page.Token{After: rows[size-1].ID}).Encode(filters); err != nil {
				return err
			}
		}
		ids := make([]uuid.UUID, len(rows))
		at := map[uuid.UUID]int{}
		for i, row := range rows {
			event, err := row.proto()
			if err != nil {
				return err
			}
			ids[i], at[row.ID] = row.ID, i
			response.Events = append(response.Events, event)
		}
		deliveries, err := listDeliveries(ctx, tx, ids...)
		if err != nil {
			return err
		}
		for _, d := range deliveries {
			event := response.GetEvents()[at[d.EventID]]
			event.Deliveries = append(event.Deliveries, d.proto())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// ListEventTypes returns the event types of this program, by name.
func (s *Service) ListEventTypes(context.Context, *eventv1.ListEventTypesRequest) (*eventv1.ListEventTypesResponse, error) {
	response := &eventv1.ListEventTypesResponse{}
	for _, t := range s.bus.types.All() {
		response.EventTypes = append(response.EventTypes, &eventv1.EventTypeInfo{
			Name: t.Name, SchemaVersion: t.Version, MessageName: t.MessageName(), HandlerNames: s.bus.HandlersOf(t.Name),
		})
	}
	return response, nil
}

func (s *Service) parse(r *eventv1.PublishEventRequest) (Item, error) {
	payload, err := protojson.Marshal(r.GetPayload())
	if err != nil {
		// A number that JSON has no word for, or a value that is none.
		return Item{}, apierr.Invalid(apierr.Violation{
			Field: "payload", Rule: "event.payload", Message: "The payload is not JSON.",
		}).Because(err)
	}
	event, err := s.bus.types.Parse(r.GetType(), payload)
	return Item{Event: event, Options: PublishOptions{IdempotencyKey: r.GetIdempotencyKey()}}, err
}

func (p Publication) proto() *eventv1.PublishEventResponse {
	return &eventv1.PublishEventResponse{Id: p.ID.String(), Deduplicated: p.Deduplicated}
}
