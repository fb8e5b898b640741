package telemetry_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/telemetry"
)

func TestAtLeast(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := telemetry.AtLeast(slog.New(slog.NewTextHandler(&out, nil)), slog.LevelWarn)
	logger.Info("chatter")
	logger.With("key", "value").WithGroup("group").Info("chatter")
	logger.Warn("worth knowing")
	require.NotContains(t, out.String(), "chatter")
	require.Contains(t, out.String(), "worth knowing")
}
