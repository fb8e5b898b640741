package eventbus

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
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

func (e *storedEvent) proto() (*eventv1.Event, error) {
	payload, metadata := &structpb.Struct{}, &structpb.Struct{}
	if err := protojson.Unmarshal(e.Payload, payload); err != nil {
		return nil, fmt.Errorf("read the payload of event %s: %w", e.ID, err)
	}
	if err := protojson.Unmarshal(e.Metadata, metadata); err != nil {
		return nil, fmt.Errorf("read the metadata of event %s: %w", e.ID, err)
	}
	return &eventv1.Event{
		Id: e.ID.String(), Type: e.Type, SchemaVersion: e.SchemaVersion, Status: enumtext.Value[eventv1.EventStatus](e.Status),
		Payload: payload, Metadata: metadata, PublishedAt: timestamppb.New(e.PublishedAt), ProcessedAt: timestamp(e.ProcessedAt),
		RetryCount: e.RetryCount, ErrorMessage: value(e.ErrorMessage), CreatedBy: text(e.CreatedBy),
		CreatedByName: value(e.CreatedByName), Source: e.Source, CorrelationId: e.CorrelationID.String(),
		CausationId: text(e.CausationID), Depth: e.Depth,
	}, nil
}

func (d *storedDelivery) proto() *eventv1.Delivery {
	p := &eventv1.Delivery{
		Id: d.ID.String(), HandlerName: d.HandlerName, Status: enumtext.Value[eventv1.DeliveryStatus](d.Status),
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
		Number: a.Number, Outcome: enumtext.Value[eventv1.AttemptOutcome](a.Outcome), StartedAt: timestamppb.New(a.StartedAt),
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
