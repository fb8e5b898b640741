package apptest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"
)

// Stream is Call for a procedure that answers with a stream, of which an endless one is left after the first message. It
// returns the answer as that of a single message, which holds the others, or the error with which it ended.
func (e *Env) Stream(t *testing.T, token, path, body string, endless bool, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(envelope(body)))
	request.Header.Set("Content-Type", "application/connect+json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	recorder := &leaver{ResponseRecorder: httptest.NewRecorder()}
	if endless {
		recorder.leave = cancel
	}
	e.App.Handler().ServeHTTP(recorder, request)
	return single(t, recorder.ResponseRecorder, endless)
}

// leaver hangs up after the first message.
type leaver struct {
	*httptest.ResponseRecorder

	leave func()
}

// Flush sends what is written.
func (l *leaver) Flush() {
	l.ResponseRecorder.Flush()
	if l.leave != nil && l.Body.Len() > 0 {
		l.leave()
	}
}

const (
	envelopePrefix = 5 // flags and length
	endOfStream    = 0x02
)

func envelope(message string) string {
	return string(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))) + message //nolint:gosec // a test's message
}

// fileName is what an export calls its file, by the time.
var fileName = regexp.MustCompile(`"fileName":"[^"]*"`)

func single(t *testing.T, answer *httptest.ResponseRecorder, endless bool) *httptest.ResponseRecorder {
	t.Helper()
	if !strings.HasPrefix(answer.Header().Get("Content-Type"), "application/connect+") {
		return answer
	}
	var (
		messages []string
		end      struct {
			Error json.RawMessage `json:"error"`
		}
		failure struct {
			Code connect.Code `json:"code"`
		}
	)
	for rest := answer.Body.Bytes(); len(rest) > 0; {
		size := envelopePrefix + int(binary.BigEndian.Uint32(rest[1:envelopePrefix]))
		if message := rest[envelopePrefix:size]; rest[0]&endOfStream != 0 {
			require.NoError(t, json.Unmarshal(message, &end))
		} else {
			messages = append(messages, string(message))
		}
		rest = rest[size:]
	}
	whole := httptest.NewRecorder()
	whole.Header().Set("X-Request-ID", answer.Header().Get("X-Request-ID"))
	if end.Error != nil {
		require.NoError(t, json.Unmarshal(end.Error, &failure))
		if !endless || failure.Code != connect.CodeCanceled || len(messages) == 0 {
			whole.WriteHeader(statusOf(failure.Code))
			_, _ = whole.Write(end.Error)
			return whole
		}
	}
	text := `{"messages":[` + strings.Join(messages, ",") + `]}`
	_, _ = whole.WriteString(fileName.ReplaceAllString(text, `"fileName":""`))
	return whole
}

// statusOf is the HTTP status that the code has in an answer of a single message.
func statusOf(code connect.Code) int {
	switch code {
	case connect.CodeUnauthenticated:
		return http.StatusUnauthorized
	case connect.CodePermissionDenied:
		return http.StatusForbidden
	default:
		return http.StatusInternalServerError
	}
}
