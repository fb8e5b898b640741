package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"

	"github.com/intime-solutions/intime/internal/auth"
)

const (
	// DefaultAddr is where the server listens: on this machine alone.
	DefaultAddr = "127.0.0.1:8080"
	// DefaultMaxBodyBytes is how large a request may be as it comes over the wire.
	DefaultMaxBodyBytes = 1 << 20
	// DefaultTakeTimeout is how long the client of a stream may take for what was written to him.
	DefaultTakeTimeout = 20 * time.Second
	// DefaultGracePeriod is how long calls may take to end once the server stops.
	DefaultGracePeriod = 20 * time.Second
)

// Config says what a Server serves, and where.
type Config struct {
	// Addr is the address to listen on; port 0 takes any that is free. INTIME_ADDR. Default: 127.0.0.1:8080.
	Addr string
	// Chain is what every call goes through.
	Chain *Chain
	// Services are the services' handlers, built with Chain.HandlerOptions.
	Services []Mount
	// Ready says whether the server can take calls: nil, or why not. Default: always.
	Ready func(ctx context.Context) error
	// WellKnown serves /.well-known/, the built-in issuer's keys. Default: nothing.
	WellKnown http.Handler
	// Pages serves everything else. Default: nothing.
	Pages http.Handler
	// AllowedOrigins are the other origins whose pages may call, for example "http://localhost:3000". Default: none.
	AllowedOrigins []string
	// AllowedHosts are the host names that are answered to, without port; see LocalHosts. Default: every one.
	AllowedHosts []string
	// Reflection lets grpcurl and buf curl ask for the services' descriptions. Default: no.
	Reflection bool
	// HTTPS says that browsers reach the server over https and shall use nothing else from then on. Default: no.
	HTTPS bool
	// MaxBodyBytes is how large a request may be as it comes over the wire. Default: 1 MiB.
	MaxBodyBytes int64
	// TakeTimeout is how long the client of a stream may take for what was written to him, before he is cut. Default: 20 s.
	TakeTimeout time.Duration
	// GracePeriod is how long calls may take to end once the server stops. Default: 20 s.
	GracePeriod time.Duration
	// Logger gets a line for each request. Default: nobody.
	Logger *slog.Logger
}

// WithDefaults returns the config with the defaults where nothing was said.
func (c Config) WithDefaults() Config {
	if c.Addr == "" {
		c.Addr = DefaultAddr
	}
	if c.MaxBodyBytes == 0 {
		c.MaxBodyBytes = DefaultMaxBodyBytes
	}
	if c.TakeTimeout == 0 {
		c.TakeTimeout = DefaultTakeTimeout
	}
	if c.GracePeriod == 0 {
		c.GracePeriod = DefaultGracePeriod
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate(policy *auth.Policy) error {
	if slices.Contains(c.AllowedOrigins, "*") {
		return errors.New("INTIME_ALLOWED_ORIGINS contains *: name the origins, since their pages call with the session's cookie")
	}
	var problems []error
	for _, mount := range c.Services {
		problems = append(problems, mount.check(policy))
	}
	return errors.Join(problems...)
}

// Server serves the services and what belongs around them.
type Server struct {
	config  Config
	handler http.Handler

	mu       sync.Mutex
	listener net.Listener
}

// New returns a server. It refuses services that would be unprotected: a procedure that declares no authorization, a
// handler that was not built with the chain's options.
func New(config Config) (*Server, error) {
	if config.Chain == nil {
		return nil, errors.New("the server needs a chain")
	}
	config = config.WithDefaults()
	if err := config.validate(&config.Chain.policy); err != nil {
		return nil, fmt.Errorf("the server cannot be built: %w", err)
	}
	s := &Server{config: config}
	s.handler = s.around(s.routes())
	return s, nil
}

// Handler returns everything the server serves, for tests and for calls from within.
func (s *Server) Handler() http.Handler { return s.handler }

// around puts what every request goes through around the routes, the outermost last.
func (s *Server) around(h http.Handler) http.Handler {
	c := s.config
	h = limitBody(c.MaxBodyBytes, c.Chain.config.Timeout, h)
	h = allowOrigins(c.AllowedOrigins, h)
	h = checkHost(c.AllowedHosts, h)
	h = secureHeaders(c.HTTPS, h)
	h = recoverPanics(c.Logger, h)
	h = logAccess(c.Logger, h)
	return identifyRequest(h)
}

func (s *Server) routes() http.Handler {
	c := s.config
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+healthPath, s.serveHealth)
	mux.HandleFunc("GET "+readyPath, s.serveReady)
	if c.WellKnown != nil {
		mux.Handle("/.well-known/", c.WellKnown)
	}
	checker := healthChecker{server: s, services: make(map[string]bool)}
	for _, mount := range c.Services {
		checker.services[mount.service()] = true
		s.mount(mux, mount)
	}
	s.mount(mux, At(grpchealth.NewHandler(checker, c.Chain.openOptions()...)))
	if c.Reflection {
		var names []string
		for _, mount := range c.Services {
			names = append(names, mount.service())
		}
		reflector := grpcreflect.NewStaticReflector(names...)
		s.mount(mux, At(grpcreflect.NewHandlerV1(reflector, c.Chain.openOptions()...)))
		s.mount(mux, At(grpcreflect.NewHandlerV1Alpha(reflector, c.Chain.openOptions()...)))
	}
	mux.HandleFunc("/", s.serveRest)
	return mux
}

func (s *Server) mount(mux *http.ServeMux, m Mount) {
	handler := s.config.Chain.rewrite(m.Handler)
	streams := m.streams()
	mux.HandleFunc(m.Path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if streams[r.URL.Path] {
			// For proxies that would wait for the end of the answer before they pass it on.
			w.Header().Set("X-Accel-Buffering", "no")
			w = newTimedWriter(w, s.config.TakeTimeout)
		}
		handler.ServeHTTP(w, r)
	})
}

var procedurePattern = regexp.MustCompile(`^/[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+/[A-Za-z_][A-Za-z0-9_]*$`)

// serveRest serves pages. What was meant for a service that is not here must not get a page for an answer.
func (s *Server) serveRest(w http.ResponseWriter, r *http.Request) {
	if s.config.Pages == nil || r.Method == http.MethodPost || procedurePattern.MatchString(r.URL.Path) ||
		strings.HasPrefix(r.Header.Get("Content-Type"), "application/") && connect.NewErrorWriter().IsSupported(r) {
		writeError(w, r, unknownProcedure())
		return
	}
	s.config.Pages.ServeHTTP(w, r)
}
