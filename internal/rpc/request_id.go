package rpc

import (
	"net"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/intime-solutions/intime/internal/platform/principal"
)

const (
	requestIDHeader   = "X-Request-ID"
	maxRequestID      = 64
	maxUserAgentBytes = 256
)

// identifyRequest gives the request an id, the client's own where that is a harmless one, and tells it to the client and to
// everybody behind: logs, audit rows and errors name it.
func identifyRequest(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDHeader)
		if !validRequestID(id) {
			id = uuid.Must(uuid.NewV7()).String()
		}
		w.Header().Set(requestIDHeader, id)
		ctx := principal.WithRequest(r.Context(), principal.Request{
			ID: id, IP: peerIP(r.RemoteAddr), UserAgent: userAgent(r.UserAgent()),
			Procedure: r.URL.Path[:min(len(r.URL.Path), maxLoggedPath)], // until a procedure is found
		})
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func validRequestID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func peerIP(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	return host
}

// userAgent makes the header safe to store: short, valid UTF-8, no control characters.
func userAgent(text string) string {
	text = text[:min(len(text), maxUserAgentBytes)]
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}
