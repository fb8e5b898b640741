package eventbus

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
)

// Event is a message that is the payload of an event type. The methods are generated for messages that carry the option
// (intime.event.v1.event_type); another message does not compile as an event.
type Event interface {
	proto.Message
	EventType() string
	EventVersion() int32
}

// Type is an event type.
type Type struct {
	Name       string // noun.verb, for example "job.created"
	Version    int32  // of the payload's schema, counted from 1
	Permission string // what entitles somebody to cause it; empty: only event:create does
	message    protoreflect.MessageType
}

// MessageName is the full name of the payload's message.
func (t Type) MessageName() string { return string(t.message.Descriptor().FullName()) }

// Catalogue is the event types of the program.
type Catalogue struct{ types map[string]Type }

// NewCatalogue collects the event types of all generated code that the program links.
func NewCatalogue() (*Catalogue, error) {
	c := &Catalogue{types: map[string]Type{}}
	var failed error
	protoregistry.GlobalTypes.RangeMessages(func(message protoreflect.MessageType) bool {
		options := message.Descriptor().Options()
		if !proto.HasExtension(options, eventv1.E_EventType) {
			return true
		}
		declared, ok := proto.GetExtension(options, eventv1.E_EventType).(*eventv1.EventType)
		if !ok {
			return true
		}
		if other, taken := c.types[declared.GetName()]; taken {
			failed = fmt.Errorf("event type %s is claimed by %s and by %s",
				declared.GetName(), other.MessageName(), message.Descriptor().FullName())
			return false
		}
		c.types[declared.GetName()] = Type{
			Name:       declared.GetName(),
			Version:    max(declared.GetVersion(), 1),
			Permission: declared.GetPublishPermission(),
			message:    message,
		}
		return true
	})
	return c, failed
}

// Lookup returns the type of that name.
func (c *Catalogue) Lookup(name string) (Type, bool) {
	t, ok := c.types[name]
	return t, ok
}

// All returns the types by name.
func (c *Catalogue) All() []Type {
	all := make([]Type, 0, len(c.types))
	for _, t := range c.types {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b Type) int { return strings.Compare(a.Name, b.Name) })
	return all
}
