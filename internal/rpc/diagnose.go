package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxQuoted is how much of a field's name is quoted back.
const maxQuoted = 64

// diagnoseJSON says what is wrong with JSON that protojson refused, by the field's path where there is one to blame.
// protojson's own text is not for callers, and it changes on purpose from build to build: only the place is taken from it.
func diagnoseJSON(data []byte, message protoreflect.MessageDescriptor, cause error) *decodeError {
	if !utf8.Valid(data) {
		return malformed("The request is not valid UTF-8.")
	}
	if !json.Valid(data) {
		return malformed("The request is not valid JSON.")
	}
	s := survey{data: data, decoder: json.NewDecoder(bytes.NewReader(data))}
	s.decoder.UseNumber()
	if s.value("", shape{message: message}) != nil {
		return malformed("The request is not valid JSON.")
	}
	if s.unknown != "" {
		return malformedField(s.unknown, "unknown_field", fmt.Sprintf("There is no field %q.", s.unknown))
	}
	if path := s.at(offsetOf(data, cause.Error())); path != "" {
		return malformedField(path, "wrong_kind", fmt.Sprintf("The value of %s is not of the right kind.", path))
	}
	return malformed("The request does not have the form that this procedure takes.")
}

var positionPattern = regexp.MustCompile(`\(line (\d+):(\d+)\)`)

// offsetOf finds the byte that protojson's "(line 1:2)" means; -1 where the text has no such place.
func offsetOf(data []byte, text string) int64 {
	match := positionPattern.FindStringSubmatch(text)
	if match == nil {
		return -1
	}
	line, _ := strconv.Atoi(match[1])
	column, _ := strconv.Atoi(match[2])
	offset := 0
	for ; line > 1; line-- {
		next := bytes.IndexByte(data[offset:], '\n')
		if next < 0 {
			return -1
		}
		offset += next + 1
	}
	for ; column > 1 && offset < len(data); column-- {
		_, size := utf8.DecodeRune(data[offset:])
		offset += size
	}
	return int64(offset)
}

// shape is what a JSON value should be: a message, or a map or list of something; the zero shape is anything.
type shape struct {
	message protoreflect.MessageDescriptor
	field   protoreflect.FieldDescriptor // of a map or a list
}

func shapeOf(field protoreflect.FieldDescriptor) shape {
	switch {
	case field.IsList() || field.IsMap():
		return shape{field: field}
	default:
		return elementShape(field)
	}
}

func elementShape(field protoreflect.FieldDescriptor) shape {
	message := field.Message()
	// Google's own (Timestamp, Struct, …) have JSON forms that are not their fields'.
	if message == nil || message.ParentFile().Package() == "google.protobuf" {
		return shape{}
	}
	return shape{message: message}
}

// survey walks JSON beside a message's descriptor and notes where each value begins and the first field that does not exist.
type survey struct {
	data    []byte
	decoder *json.Decoder
	places  []place
	unknown string
}

type place struct {
	path  string
	start int64
}

func (s *survey) value(path string, want shape) error {
	s.places = append(s.places, place{path: path, start: s.start()})
	token, err := s.decoder.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		return s.object(path, want)
	case json.Delim('['):
		return s.list(path, want)
	default:
		return nil
	}
}

func (s *survey) object(path string, want shape) error {
	for s.decoder.More() {
		token, err := s.decoder.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		inner, member := s.member(path, name, want)
		if err := s.value(inner, member); err != nil {
			return err
		}
	}
	_, err := s.decoder.Token()
	return err
}

func (s *survey) member(path, name string, want shape) (string, shape) {
	if want.field != nil && want.field.IsMap() {
		return path + "[" + strconv.Quote(name) + "]", elementShape(want.field.MapValue())
	}
	if want.message == nil {
		return path, shape{}
	}
	fields := want.message.Fields()
	field := fields.ByJSONName(name)
	if field == nil {
		field = fields.ByTextName(name)
	}
	if field == nil {
		inner := strings.TrimPrefix(path+"."+shorten(name), ".")
		if s.unknown == "" {
			s.unknown = inner
		}
		return inner, shape{}
	}
	return strings.TrimPrefix(path+"."+field.TextName(), "."), shapeOf(field)
}

func (s *survey) list(path string, want shape) error {
	element := shape{}
	if want.field != nil && want.field.IsList() {
		element = elementShape(want.field)
	}
	for i := 0; s.decoder.More(); i++ {
		if err := s.value(path+"["+strconv.Itoa(i)+"]", element); err != nil {
			return err
		}
	}
	_, err := s.decoder.Token()
	return err
}

// start returns where the next value begins.
func (s *survey) start() int64 {
	offset := s.decoder.InputOffset()
	for offset < int64(len(s.data)) && strings.IndexByte(" \t\r\n:,", s.data[offset]) >= 0 {
		offset++
	}
	return offset
}

// at returns the path of the value that holds the offset.
func (s *survey) at(offset int64) string {
	path := ""
	for _, p := range s.places {
		if p.start > offset {
			break
		}
		path = p.path
	}
	return path
}

func shorten(name string) string {
	if len(name) <= maxQuoted {
		return name
	}
	return strings.ToValidUTF8(name[:maxQuoted], "") + "…"
}
