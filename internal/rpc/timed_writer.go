package rpc

import (
	"net/http"
	"time"
)

// timedWriter cuts a client that does not take what was written to him: a stream has no end to wait for, and one that hangs
// in a write holds its memory, and the server's stop. Between writes a stream may be silent for as long as it likes.
type timedWriter struct {
	http.ResponseWriter

	controller *http.ResponseController
	timeout    time.Duration
}

func newTimedWriter(w http.ResponseWriter, timeout time.Duration) *timedWriter {
	return &timedWriter{ResponseWriter: w, controller: http.NewResponseController(w), timeout: timeout}
}

// Write writes a part of the body.
func (w *timedWriter) Write(data []byte) (int, error) {
	defer w.within()()
	return w.ResponseWriter.Write(data)
}

// Flush sends what is written.
func (w *timedWriter) Flush() {
	defer w.within()()
	_ = w.controller.Flush()
}

// Unwrap lets http.ResponseController find the writer beneath.
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// within sets the deadline, and returns what lifts it. Where a connection knows no deadlines there is nothing to set.
func (w *timedWriter) within() (lift func()) {
	_ = w.controller.SetWriteDeadline(time.Now().Add(w.timeout))
	return func() { _ = w.controller.SetWriteDeadline(time.Time{}) }
}
