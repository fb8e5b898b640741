// Package enumtext is how enums are written in the database: the value's name in lower case without the enum's prefix, so
// that EVENT_STATUS_DEAD_LETTER is "dead_letter". Start at Name and Value.
package enumtext

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Name returns the value as the database has it.
func Name(value protoreflect.Enum) string {
	descriptor := value.Descriptor()
	found := descriptor.Values().ByNumber(value.Number())
	if found == nil {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(string(found.Name()), prefix(descriptor)))
}

// Value returns the value that the database means by the name; unspecified for a name that only a newer program knows.
func Value[E interface {
	~int32
	protoreflect.Enum
}](name string) E {
	var unspecified E
	descriptor := unspecified.Descriptor()
	found := descriptor.Values().ByName(protoreflect.Name(prefix(descriptor) + strings.ToUpper(name)))
	if found == nil {
		return unspecified
	}
	return E(found.Number())
}

// Names returns all values as the database has them, but the unspecified.
func Names[E protoreflect.Enum]() []string {
	var unspecified E
	descriptor := unspecified.Descriptor()
	var names []string
	for i := 1; i < descriptor.Values().Len(); i++ {
		name := string(descriptor.Values().Get(i).Name())
		names = append(names, strings.ToLower(strings.TrimPrefix(name, prefix(descriptor))))
	}
	return names
}

// prefix is what the names of all values begin with: the lint of the schema sees to that.
func prefix(descriptor protoreflect.EnumDescriptor) string {
	return strings.TrimSuffix(string(descriptor.Values().ByNumber(0).Name()), "UNSPECIFIED")
}
