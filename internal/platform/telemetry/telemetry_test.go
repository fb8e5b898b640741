package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ in, want string }{
		"nothing secret":       {"created job 42 in 3.5 ms", "created job 42 in 3.5 ms"},
		"e-mail":               {"no user anna.berg@example.co.uk here", "no user an…@example.co.uk here"},
		"short e-mail":         {"a@example.com", "a…@example.com"},
		"two e-mails":          {"ab@x.de,cdef@y.de", "ab…@x.de,cd…@y.de"},
		"connection URL":       {"to postgres://intime:s3cr:t@db:5432/intime", "to postgres://intime:[removed]@db:5432/intime"},
		"password with an @":   {"postgres://u:p@ss@db/x", "postgres://u:[removed]@db/x"},
		"connection key=value": {"host=db user=u password='a b' dbname=x", "host=db user=u password=[removed] dbname=x"},
		"bearer":               {"sent Bearer abc.def-ghi", "sent Bearer [removed]"},
		"JWT alone":            {"got eyJhbGciOiJI.eyJzdWIi.c2ln end", "got [removed] end"},
		"URL without password": {"see https://example.com/a@b", "see https://example.com/a@b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, Text(test.in))
		})
	}
}

func TestNewLogger(t *testing.T) {
	t.Parallel()

	t.Run("Scrubs", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		logger, err := NewLogger(&out, Config{})
		require.NoError(t, err)
		logger.With("access_token", "abc", slog.Group("http", "cookie", "s=1", "path", "/x")).
			WithGroup("call").InfoContext(context.Background(), "mail to bert@example.com",
			"error", errors.New("connect postgres://u:hunter2@db/x"),
			"authorization", "Bearer abc", "count", 3,
			"who", struct{ Mail string }{"carla@example.com"})
		var line map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &line))
		require.Equal(t, "mail to be…@example.com", line["msg"])
		require.Equal(t, Removed, line["access_token"])
		require.Equal(t, map[string]any{"cookie": Removed, "path": "/x"}, line["http"])
		require.Equal(t, map[string]any{
			"error": "connect postgres://u:[removed]@db/x", "authorization": Removed, "count": 3.0,
			"who": "{Mail:ca…@example.com}",
		}, line["call"])
	})

	t.Run("Level", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		logger, err := NewLogger(&out, Config{Level: "warn", Format: FormatText})
		require.NoError(t, err)
		logger.InfoContext(context.Background(), "quiet")
		logger.WarnContext(context.Background(), "loud")
		require.NotContains(t, out.String(), "quiet")
		require.Contains(t, out.String(), "msg=loud")
	})

	t.Run("SaysWhatIsWrong", func(t *testing.T) {
		t.Parallel()
		_, err := NewLogger(nil, Config{Level: "chatty"})
		require.ErrorContains(t, err, "INTIME_LOG_LEVEL")
		_, err = NewLogger(nil, Config{Format: "xml"})
		require.ErrorContains(t, err, "INTIME_LOG_FORMAT")
	})
}
