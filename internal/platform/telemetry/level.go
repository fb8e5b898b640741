package telemetry

import (
	"context"
	"log/slog"
)

// AtLeast returns a logger that passes on only what is at least as grave as the level: for libraries that tell more than
// one wants to know.
func AtLeast(logger *slog.Logger, level slog.Level) *slog.Logger {
	return slog.New(levelHandler{Handler: logger.Handler(), level: level})
}

type levelHandler struct {
	slog.Handler

	level slog.Level
}

func (h levelHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level && h.Handler.Enabled(ctx, level)
}

func (h levelHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return levelHandler{Handler: h.Handler.WithAttrs(attrs), level: h.level}
}

func (h levelHandler) WithGroup(name string) slog.Handler {
	return levelHandler{Handler: h.Handler.WithGroup(name), level: h.level}
}
