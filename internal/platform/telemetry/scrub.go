package telemetry

import (
	"context"
	"fmt"
	"log/slog"
)

// scrubber is a slog.Handler that scrubs records on their way to the next handler.
type scrubber struct {
	next slog.Handler
}

// Scrub returns a handler that scrubs what it passes on to next.
func Scrub(next slog.Handler) slog.Handler { return &scrubber{next: next} }

// Enabled asks the next handler.
func (s *scrubber) Enabled(ctx context.Context, level slog.Level) bool {
	return s.next.Enabled(ctx, level)
}

// Handle scrubs the record and passes it on.
func (s *scrubber) Handle(ctx context.Context, record slog.Record) error {
	clean := slog.NewRecord(record.Time, record.Level, Text(record.Message), record.PC)
	record.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(scrubAttr(a))
		return true
	})
	return s.next.Handle(ctx, clean)
}

// WithAttrs scrubs the attributes once, for all records to come.
func (s *scrubber) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = scrubAttr(a)
	}
	return &scrubber{next: s.next.WithAttrs(clean)}
}

// WithGroup passes the group on.
func (s *scrubber) WithGroup(name string) slog.Handler {
	return &scrubber{next: s.next.WithGroup(name)}
}

func scrubAttr(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	if SecretKey(a.Key) {
		return slog.String(a.Key, Removed)
	}
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(Text(a.Value.String()))
	case slog.KindGroup:
		members := a.Value.Group()
		clean := make([]slog.Attr, len(members))
		for i, member := range members {
			clean[i] = scrubAttr(member)
		}
		a.Value = slog.GroupValue(clean...)
	case slog.KindAny:
		a.Value = scrubAny(a.Value.Any())
	default: // Numbers, times and truth values hold no secrets.
	}
	return a
}

// scrubAny makes text of a value: a struct's fields cannot be told apart into harmless and others.
func scrubAny(value any) slog.Value {
	switch v := value.(type) {
	case nil:
		return slog.AnyValue(nil)
	case error:
		return slog.StringValue(Text(v.Error()))
	case []string:
		clean := make([]string, len(v))
		for i, text := range v {
			clean[i] = Text(text)
		}
		return slog.AnyValue(clean)
	case fmt.Stringer:
		return slog.StringValue(Text(v.String()))
	case *slog.Source:
		return slog.AnyValue(v)
	default:
		return slog.StringValue(Text(fmt.Sprintf("%+v", v)))
	}
}
