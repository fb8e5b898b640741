package rpc

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/intime-solutions/intime/internal/platform/principal"
)

const maxLoggedPath = 256

// logAccess writes one line for each request. The query is left out: a GET carries its whole request in it.
func logAccess(logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		recorder := &statusRecorder{ResponseWriter: w}
		defer func() { //nolint:contextcheck // It is the request's context.
			level := slog.LevelInfo
			if r.URL.Path == healthPath || r.URL.Path == readyPath {
				level = slog.LevelDebug
			}
			logger.LogAttrs(r.Context(), level, "request",
				slog.String("method", r.Method),
				slog.String("path", r.URL.Path[:min(len(r.URL.Path), maxLoggedPath)]),
				slog.Int("status", recorder.status),
				slog.Float64("duration_ms", float64(time.Since(started).Microseconds())/1000),
				slog.String("request_id", principal.RequestFrom(r.Context()).ID),
			)
		}()
		next.ServeHTTP(recorder, r)
		recorder.finish()
	})
}

// statusRecorder remembers the status. It stays 0 where the handler was aborted before it answered.
type statusRecorder struct {
	http.ResponseWriter

	status int
}

// WriteHeader remembers the status and writes it.
func (s *statusRecorder) WriteHeader(status int) {
	// 1xx are not the answer yet.
	if s.status == 0 && status >= http.StatusOK {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write writes a part of the body.
func (s *statusRecorder) Write(data []byte) (int, error) {
	s.finish()
	return s.ResponseWriter.Write(data)
}

// Flush sends what is written.
func (s *statusRecorder) Flush() {
	s.finish()
	_ = http.NewResponseController(s.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController find the writer beneath.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *statusRecorder) finish() {
	if s.status == 0 {
		s.status = http.StatusOK
	}
}
