package eventbus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/intime-solutions/intime/internal/platform/apierr"
)

// MaxPayloadBytes is how large a payload may be, as compact JSON.
const MaxPayloadBytes = 64 << 10

// The reasons for refusing an event.
const (
	ReasonUnknownEventType = "EVENT_TYPE_UNKNOWN"            // no message is bound to the name
	ReasonPayloadTooLarge  = "EVENT_PAYLOAD_TOO_LARGE"       // more than MaxPayloadBytes
	ReasonKeyReused        = "EVENT_KEY_REUSED"              // the idempotency key was used for another event
	ReasonCascade          = "EVENT_CASCADE_TOO_DEEP"        // an event caused by an event caused by ...
	ReasonOwnType          = "EVENT_HANDLER_OWN_TYPE"        // a handler publishes the type it handles
	ReasonBudget           = "EVENT_RUN_BUDGET_EXCEEDED"     // a handler publishes more than one run may
	ReasonCascadeBudget    = "EVENT_CASCADE_BUDGET_EXCEEDED" // handlers publish more than one cascade may
)

// encodePayload checks an event against its rules and returns it as compact JSON.
func encodePayload(event Event) ([]byte, error) {
	if err := protovalidate.Validate(event); err != nil {
		return nil, err
	}
	data, err := protojson.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("encode the payload of %s: %w", event.EventType(), err)
	}
	// protojson varies its blanks on purpose.
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil, fmt.Errorf("encode the payload of %s: %w", event.EventType(), err)
	}
	if compact.Len() > MaxPayloadBytes {
		return nil, apierr.New(connect.CodeInvalidArgument, ReasonPayloadTooLarge,
			"The payload has %d bytes as JSON; at most %d are allowed.", compact.Len(), MaxPayloadBytes)
	}
	return compact.Bytes(), nil
}

// decodePayload reads a payload into the type's message and checks its rules. Fields that a newer program added are
// passed over: an older one may still handle the event.
func decodePayload(t Type, payload []byte) (proto.Message, error) {
	message := t.message.New().Interface()
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(payload, message); err != nil {
		return nil, fmt.Errorf("the payload is no %s: %w", t.MessageName(), err)
	}
	if err := protovalidate.Validate(message); err != nil {
		return nil, fmt.Errorf("the payload breaks the rules of %s: %w", t.MessageName(), err)
	}
	return message, nil
}

// Parse reads a payload that a caller sent as JSON. A field that the type's message lacks is refused.
func (c *Catalogue) Parse(name string, payload []byte) (Event, error) {
	t, ok := c.Lookup(name)
	if !ok {
		e := apierr.New(connect.CodeInvalidArgument, ReasonUnknownEventType, "There is no event type of that name.")
		e.Violations = []apierr.Violation{{Field: "type", Rule: "event.type.unknown", Message: e.Message}}
		return nil, e
	}
	message := t.message.New().Interface()
	if err := protojson.Unmarshal(payload, message); err != nil {
		return nil, apierr.Invalid(apierr.Violation{
			Field: "payload", Rule: "event.payload", Message: "The payload is not a " + t.MessageName() + ".",
		}).Because(err)
	}
	event, ok := message.(Event)
	if !ok {
		return nil, errors.New("generated code is not current: " + t.MessageName() + " has no EventType method")
	}
	return event, nil
}
