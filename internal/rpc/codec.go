package rpc

import (
	"bytes"
	"encoding/json"
	"errors"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/intime-solutions/intime/internal/platform/apierr"
)

// maxDepth is how deep a request may be nested.
const maxDepth = 100

var (
	errNotProto = errors.New("not a protobuf message")
	errEncode   = errors.New("the response cannot be encoded")
)

// binaryCodec is connect's codec for binary messages, but for its errors, which tell nothing of Go, and for what Postgres
// cannot store.
type binaryCodec struct{}

// Name is the codec's name in content types.
func (binaryCodec) Name() string { return "proto" }

// IsBinary tells connect to encode messages for URLs.
func (binaryCodec) IsBinary() bool { return true }

// Marshal encodes a message.
func (c binaryCodec) Marshal(message any) ([]byte, error) { return c.MarshalAppend(nil, message) }

// MarshalAppend encodes a message at the end of a buffer.
func (binaryCodec) MarshalAppend(buffer []byte, message any) ([]byte, error) {
	return marshalBinary(proto.MarshalOptions{}, buffer, message)
}

// MarshalStable encodes equal messages to equal bytes, for GET requests.
func (binaryCodec) MarshalStable(message any) ([]byte, error) {
	return marshalBinary(proto.MarshalOptions{Deterministic: true}, nil, message)
}

// Unmarshal decodes a message. Fields it does not know are dropped: a newer client may know more of them.
func (binaryCodec) Unmarshal(data []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return errNotProto
	}
	if err := (proto.UnmarshalOptions{RecursionLimit: maxDepth, DiscardUnknown: true}).Unmarshal(data, m); err != nil {
		return malformed("The request is not a message of this procedure.")
	}
	if bytes.IndexByte(data, 0) < 0 {
		return nil
	}
	return refuseNUL(m.ProtoReflect())
}

func marshalBinary(options proto.MarshalOptions, buffer []byte, message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, errNotProto
	}
	data, err := options.MarshalAppend(buffer, m)
	if err != nil {
		return nil, errEncode
	}
	return data, nil
}

// jsonCodec is connect's codec for JSON, but strict: a field that does not exist is an error, since a misspelt one would
// otherwise be ignored without a word.
type jsonCodec struct{ name string }

// Name is the codec's name in content types.
func (c jsonCodec) Name() string { return c.name }

// IsBinary tells connect that messages are text.
func (jsonCodec) IsBinary() bool { return false }

// Marshal encodes a message.
func (c jsonCodec) Marshal(message any) ([]byte, error) { return c.MarshalAppend(nil, message) }

// MarshalAppend encodes a message at the end of a buffer.
func (jsonCodec) MarshalAppend(buffer []byte, message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, errNotProto
	}
	data, err := protojson.MarshalOptions{}.MarshalAppend(buffer, m)
	if err != nil {
		return nil, errEncode
	}
	return data, nil
}

// MarshalStable encodes equal messages to equal bytes: protojson adds spaces at random.
func (c jsonCodec) MarshalStable(message any) ([]byte, error) {
	data, err := c.Marshal(message)
	if err != nil {
		return nil, err
	}
	compact := bytes.NewBuffer(data[:0])
	if err := json.Compact(compact, data); err != nil {
		return nil, errEncode
	}
	return compact.Bytes(), nil
}

// Unmarshal decodes a message.
func (jsonCodec) Unmarshal(data []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return errNotProto
	}
	if tooDeep(data, maxDepth) {
		return malformed("The request is nested more than 100 levels deep.")
	}
	if err := (protojson.UnmarshalOptions{RecursionLimit: maxDepth}).Unmarshal(data, m); err != nil {
		return diagnoseJSON(data, m.ProtoReflect().Descriptor(), err)
	}
	if !bytes.Contains(data, []byte(`\u0000`)) {
		return nil
	}
	return refuseNUL(m.ProtoReflect())
}

// refuseNUL refuses text with the character U+0000, which Postgres cannot store.
func refuseNUL(m protoreflect.Message) error {
	field, found := findNUL(m)
	if !found {
		return nil
	}
	const message = "Text may not contain the character U+0000."
	e := malformedField(field, "string.no_nul", message)
	e.Reason = apierr.ReasonInvalid
	return e
}
