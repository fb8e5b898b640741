package rpc

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// limitBody bounds a request's body, as it comes over the wire: its size and the time it takes to arrive.
func limitBody(maxBytes int64, timeout time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		controller := http.NewResponseController(w)
		// Where a connection knows no deadlines there is nothing to set.
		_ = controller.SetReadDeadline(time.Now().Add(timeout))
		r.Body = &timedBody{
			ReadCloser: http.MaxBytesReader(w, r.Body, maxBytes),
			arrived:    func() { _ = controller.SetReadDeadline(time.Time{}) },
		}
		next.ServeHTTP(w, r)
	})
}

// timedBody lifts the deadline once the body has arrived: what goes on reading then only watches for the client to hang up,
// and a stream may last.
type timedBody struct {
	io.ReadCloser

	arrived func()
}

// Read reads a part of the body.
func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.arrived()
	}
	return n, err
}
