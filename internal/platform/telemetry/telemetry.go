// Package telemetry sets up the log. Whatever is logged goes through a filter that takes out what a log must not hold:
// passwords, tokens, cookies, connection strings' passwords, most of an e-mail address. Start at NewLogger.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Format is how log lines look.
type Format string

// The formats.
const (
	FormatJSON Format = "json" // one JSON object a line, for machines
	FormatText Format = "text" // key=value, for people
)

// Config says what is logged, and how.
type Config struct {
	// Level is the least level that is logged: debug, info, warn or error. INTIME_LOG_LEVEL. Default: info.
	Level string
	// Format is how lines look. INTIME_LOG_FORMAT. Default: json.
	Format Format
}

// NewLogger returns a logger that writes to w. The error names the setting that is wrong.
func NewLogger(w io.Writer, config Config) (*slog.Logger, error) {
	level := slog.LevelInfo
	if config.Level != "" {
		if err := level.UnmarshalText([]byte(config.Level)); err != nil {
			return nil, fmt.Errorf("INTIME_LOG_LEVEL is %q: it can be debug, info, warn or error", config.Level)
		}
	}
	options := &slog.HandlerOptions{Level: level}
	switch Format(strings.ToLower(string(config.Format))) {
	case FormatJSON, "":
		return slog.New(Scrub(slog.NewJSONHandler(w, options))), nil
	case FormatText:
		return slog.New(Scrub(slog.NewTextHandler(w, options))), nil
	default:
		return nil, fmt.Errorf("INTIME_LOG_FORMAT is %q: it can be json or text", config.Format)
	}
}
