package rpc

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// tooDeep says whether JSON is nested deeper than the limit. It counts brackets outside of strings and needs no stack,
// which is what a limit on the depth is there to save.
func tooDeep(data []byte, limit int) bool {
	depth := 0
	inString := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// findNUL returns the path of the first text in the message that contains U+0000.
func findNUL(m protoreflect.Message) (path string, found bool) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		path, found = findNULInField(field, value)
		return !found
	})
	return path, found
}

func findNULInField(field protoreflect.FieldDescriptor, value protoreflect.Value) (path string, found bool) {
	name := field.TextName()
	switch {
	case field.IsList():
		list := value.List()
		for i := range list.Len() {
			if path, found := findNULInValue(field, list.Get(i)); found {
				return name + "[" + strconv.Itoa(i) + "]" + path, true
			}
		}
	case field.IsMap():
		value.Map().Range(func(key protoreflect.MapKey, item protoreflect.Value) bool {
			path, found = findNULInValue(field.MapValue(), item)
			if !found && field.MapKey().Kind() == protoreflect.StringKind {
				found = strings.ContainsRune(key.String(), 0)
			}
			path = name + "[" + strconv.Quote(key.String()) + "]" + path
			return !found
		})
		return path, found
	default:
		path, found = findNULInValue(field, value)
		return name + path, found
	}
	return "", false
}

// The path it returns continues the field's: it is empty, or begins with a dot.
func findNULInValue(field protoreflect.FieldDescriptor, value protoreflect.Value) (path string, found bool) {
	switch field.Kind() {
	case protoreflect.StringKind:
		return "", strings.ContainsRune(value.String(), 0)
	case protoreflect.MessageKind, protoreflect.GroupKind:
		path, found = findNUL(value.Message())
		return "." + path, found
	default:
		return "", false
	}
}
