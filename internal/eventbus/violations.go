package eventbus

import (
	"errors"
	"fmt"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/intime-solutions/intime/internal/platform/apierr"
)

// underField puts what is wrong with an event under the request's field that holds its payload; the prefix, which may be
// empty, names the event among many. An error of another kind stays as it is.
func underField(err error, prefix string, event Event) error {
	violations := violationsOf(err, prefix, event)
	if len(violations) == 0 {
		return err
	}
	if known, ok := errors.AsType[*apierr.Error](err); ok {
		renamed := *known
		renamed.Violations = violations
		return &renamed
	}
	return apierr.Invalid(violations...)
}

// underItems is underField for the errors of PublishMany.
func underItems(err error, items []Item) error {
	var violations []apierr.Violation
	for _, e := range joined(err) {
		item, ok := errors.AsType[*ItemError](e)
		if !ok {
			return err
		}
		prefix := fmt.Sprintf("events[%d].", item.Index)
		of := violationsOf(item.Err, prefix, items[item.Index].Event)
		if len(of) == 0 {
			public, ok := errors.AsType[*apierr.Error](item.Err)
			if !ok {
				return err
			}
			of = []apierr.Violation{{Field: prefix + "payload", Rule: public.Reason, Message: public.Message}}
		}
		violations = append(violations, of...)
	}
	return apierr.Invalid(violations...)
}

func joined(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return []error{err}
}

func violationsOf(err error, prefix string, event Event) (violations []apierr.Violation) {
	if invalid, ok := errors.AsType[*protovalidate.ValidationError](err); ok {
		for _, v := range invalid.Violations {
			path := prefix + "payload"
			if blamed := blamedField(v, event); blamed != "" {
				path += "." + blamed
			}
			violations = append(violations, apierr.Violation{Field: path, Rule: v.Proto.GetRuleId(), Message: v.Proto.GetMessage()})
		}
		return violations
	}
	if public, ok := errors.AsType[*apierr.Error](err); ok {
		for _, v := range public.Violations {
			v.Field = prefix + v.Field
			violations = append(violations, v)
		}
	}
	return violations
}

// blamedField is the field that broke a rule. A rule over the whole event is named after the field to blame.
func blamedField(v *protovalidate.Violation, event Event) string {
	if path := protovalidate.FieldPathString(v.Proto.GetField()); path != "" {
		return path
	}
	name, _, _ := strings.Cut(v.Proto.GetRuleId(), ".")
	if event.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name)) == nil {
		return ""
	}
	return name
}
