package rpc

import (
	"log/slog"
	"net/http"
)

// recoverPanics answers for a panic outside of the interceptors. An answer that has begun cannot be taken back: then the
// connection is cut, so that nobody takes half an answer for a whole one.
func recoverPanics(logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := &statusRecorder{ResponseWriter: w}
		defer func() { //nolint:contextcheck // It is the request's context.
			value := recover()
			if value == nil {
				return
			}
			err := recovered(value)
			logFailure(r.Context(), logger, internalError(), err)
			if recorder.status != 0 {
				panic(http.ErrAbortHandler)
			}
			writeError(recorder, r, internalError())
		}()
		next.ServeHTTP(recorder, r)
	})
}
