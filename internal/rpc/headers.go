package rpc

import (
	"net"
	"net/http"
	"slices"
	"strings"

	"connectrpc.com/connect"
	connectcors "connectrpc.com/cors"
	"github.com/rs/cors"

	"github.com/intime-solutions/intime/internal/platform/apierr"
)

// ReasonHostRefused is the reason for a request to a host name that is not this server's.
const ReasonHostRefused = "HOST_REFUSED"

const preflightSeconds = 7200

// secureHeaders sets the headers that hold for everything; pages replace the content policy with their own.
func secureHeaders(https bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if https {
			header.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// checkHost refuses requests to other host names than ours: with a name of his own that he points at this machine, somebody
// could make a browser here read the answers (DNS rebinding). Without a list every host is accepted.
func checkHost(allowed []string, next http.Handler) http.Handler {
	if len(allowed) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(allowed, hostName(r.Host)) {
			writeError(w, r, apierr.New(connect.CodePermissionDenied, ReasonHostRefused,
				"This server does not answer under that host name."))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// LocalHosts are the names of this machine, for Config.AllowedHosts.
func LocalHosts() []string { return []string{"localhost", "127.0.0.1", "::1"} }

func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// allowOrigins lets the pages of other origins call, with the session's cookie.
func allowOrigins(origins []string, next http.Handler) http.Handler {
	if len(origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins:   origins,
		AllowedMethods:   connectcors.AllowedMethods(),
		AllowedHeaders:   append(connectcors.AllowedHeaders(), "Authorization", requestIDHeader),
		ExposedHeaders:   append(connectcors.ExposedHeaders(), requestIDHeader, "Retry-After"),
		AllowCredentials: true,
		MaxAge:           preflightSeconds,
	}).Handler(next)
}
