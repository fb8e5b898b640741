package eventbus

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
)

// storedEvent is a row of the table events.
type storedEvent struct {
	ID            uuid.UUID
	Type          string
	SchemaVersion int32
	Status        string
	Payload       []byte
	Metadata      []byte
	PublishedAt   time.Time
	ProcessedAt   *time.Time
	RetryCount    int32
	ErrorMessage  *string
	CreatedBy     *uuid.UUID
	CreatedByName *string
	Source        string
	CorrelationID uuid.UUID
	CausationID   *uuid.UUID
	Depth         int32
}

// storedDelivery is a row of the table event_deliveries.
type storedDelivery struct {
	EventID       uuid.UUID
	ID            uuid.UUID
	HandlerName   string
	Status        string
	AttemptCount  int32
	MaxAttempts   int32
	NextAttemptAt *time.Time
	FinishedAt    *time.Time
	ErrorMessage  *string
	Reason        *string
}

// storedAttempt is a row of the table event_attempts.
type storedAttempt struct {
	HandlerName   string
	Number        int32
	Outcome       string
	StartedAt     time.Time
	FinishedAt    time.Time
	ErrorMessage  *string
	Worker        *string
	WorkerVersion *string
}

var (
	eventStatuses = map[eventv1.EventStatus]string{
		eventv1.EventStatus_EVENT_STATUS_PENDING:     "pending",
		eventv1.EventStatus_EVENT_STATUS_PROCESSED:   "processed",
		eventv1.EventStatus_EVENT_STATUS_FAILED:      "failed",
		eventv1.EventStatus_EVENT_STATUS_DEAD_LETTER: "dead_letter",
	}
	deliveryStatuses = map[eventv1.DeliveryStatus]string{
		eventv1.DeliveryStatus_DELIVERY_STATUS_PENDING:     "pending",
		eventv1.DeliveryStatus_DELIVERY_STATUS_RUNNING:     "running",
		eventv1.DeliveryStatus_DELIVERY_STATUS_SUCCEEDED:   "succeeded",
		eventv1.DeliveryStatus_DELIVERY_STATUS_FAILED:      "failed",
		eventv1.DeliveryStatus_DELIVERY_STATUS_DEAD_LETTER: "dead_letter",
		eventv1.DeliveryStatus_DELIVERY_STATUS_SKIPPED:     "skipped",
	}
	attemptOutcomes = map[eventv1.AttemptOutcome]string{
		eventv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED:   "succeeded",
		eventv1.AttemptOutcome_ATTEMPT_OUTCOME_FAILED:      "failed",
		eventv1.AttemptOutcome_ATTEMPT_OUTCOME_PANICKED:    "panicked",
		eventv1.AttemptOutcome_ATTEMPT_OUTCOME_TIMED_OUT:   "timed_out",
		eventv1.AttemptOutcome_ATTEMPT_OUTCOME_CRASHED:     "crashed",
		eventv1.AttemptOutcome_ATTEMPT_OUTCOME_INTERRUPTED: "interrupted",
	}
)

// named returns the enum's value for a name of the database; its zero where a newer program wrote the name.
func named[E comparable](names map[E]string, name string) E {
	for value, n := range names {
		if n == name {
			return value
		}
	}
	var unspecified E
	return unspecified
}

func (e *storedEvent) proto() (*eventv1.Event, error) {
	payload, metadata := &structpb.Struct{}, &structpb.Struct{}
	if err := protojson.Unmarshal(e.Payload, payload); err != nil {
		return nil, fmt.Errorf("read the payload of event %s: %w", e.ID, err)
	}
	if err := protojson.Unmarshal(e.Metadata, metadata); err != nil {
		return nil, fmt.Errorf("read the metadata of event %s: %w", e.ID, err)
	}
	return &eventv1.Event{
		Id: e.ID.String(), Type: e.Type, SchemaVersion: e.SchemaVersion, Status: named(eventStatuses, e.Status),
		Payload: payload, Metadata: metadata, PublishedAt: timestamppb.New(e.PublishedAt), ProcessedAt: timestamp(e.ProcessedAt),
		RetryCount: e.RetryCount, ErrorMessage: value(e.ErrorMessage), CreatedBy: text(e.CreatedBy),
		CreatedByName: value(e.CreatedByName), Source: e.Source, CorrelationId: e.CorrelationID.String(),
		CausationId: text(e.CausationID), Depth: e.Depth,
	}, nil
}

func (d *storedDelivery) proto() *eventv1.Delivery {
	p := &eventv1.Delivery{
		Id: d.ID.String(), HandlerName: d.HandlerName, Status: named(deliveryStatuses, d.Status),
		AttemptCount: d.AttemptCount, MaxAttempts: d.MaxAttempts, NextAttemptAt: timestamp(d.NextAttemptAt),
		FinishedAt: timestamp(d.FinishedAt), Reason: value(d.ErrorMessage),
	}
	if p.GetReason() == "" {
		p.Reason = value(d.Reason)
	}
	return p
}

func (a *storedAttempt) proto() *eventv1.Attempt {
	return &eventv1.Attempt{
		Number: a.Number, Outcome: named(attemptOutcomes, a.Outcome), StartedAt: timestamppb.New(a.StartedAt),
		FinishedAt: timestamppb.New(a.FinishedAt), ErrorMessage: value(a.ErrorMessage),
		Worker: value(a.Worker), WorkerVersion: value(a.WorkerVersion),
	}
}

func timestamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

func text(id *uuid.UUID) string {
	if id == nil {
		return ""
	}
	return id.String()
}
