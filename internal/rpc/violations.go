package rpc

import (
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/intime-solutions/intime/internal/platform/apierr"
)

// violationsOf returns the violations of a message's rules; root is the message's descriptor, nil where it is not known.
func violationsOf(err *protovalidate.ValidationError, root protoreflect.MessageDescriptor) []apierr.Violation {
	violations := make([]apierr.Violation, 0, len(err.Violations))
	for _, v := range err.Violations {
		rule := v.Proto.GetRuleId()
		message := v.Proto.GetMessage()
		if message == "" {
			message = "This value is not accepted."
		}
		field := protovalidate.FieldPathString(v.Proto.GetField())
		if blamed := blamedField(messageOf(v, root), rule); blamed != "" {
			field = strings.TrimPrefix(field+"."+blamed, ".")
		}
		violations = append(violations, apierr.Violation{Field: field, Rule: rule, Message: message})
	}
	return violations
}

// blamedField is the field that a rule over a whole message blames: the rule "salary_max.at_least_min" blames salary_max,
// where the message has such a field.
func blamedField(message protoreflect.MessageDescriptor, rule string) string {
	name, _, ok := strings.Cut(rule, ".")
	if !ok || message == nil || message.Fields().ByName(protoreflect.Name(name)) == nil {
		return ""
	}
	return name
}

// messageOf returns the message that the broken rule is about; nil where it is about a plain value, a list or a map.
func messageOf(v *protovalidate.Violation, root protoreflect.MessageDescriptor) protoreflect.MessageDescriptor {
	elements := v.Proto.GetField().GetElements()
	if len(elements) == 0 {
		return root
	}
	field := v.FieldDescriptor
	whole := elements[len(elements)-1].WhichSubscript() == validate.FieldPathElement_Subscript_not_set_case
	if field == nil || field.IsMap() || field.IsList() && whole {
		return nil
	}
	return field.Message()
}
