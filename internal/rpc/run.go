package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

const (
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
)

// Listen takes the address, so that Addr is known before Run. Run does it where it was not done.
func (s *Server) Listen(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.config.Addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("the address %s is taken by another program: stop that, or choose another address with INTIME_ADDR",
			s.config.Addr)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("the address %s may not be used by this user: choose a port above 1023 with INTIME_ADDR",
			s.config.Addr)
	case err != nil:
		return fmt.Errorf("listen on %s (set by INTIME_ADDR): %w", s.config.Addr, err)
	}
	s.listener = listener
	return nil
}

// Addr returns the address that the server listens on, with its real port; empty before Listen.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Run serves until the context ends; then it says that it is not ready any more, ends its streams, takes no new connection
// and lets the calls that run finish. The error is nil unless listening failed, or calls took longer than the grace period
// and were cut.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(ctx); err != nil {
		return err
	}
	server := s.httpServer(ctx)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(s.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	s.config.Chain.drain()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.GracePeriod)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close()
		return fmt.Errorf("calls were cut that did not end within %s: %w", s.config.GracePeriod, err)
	}
	return nil
}

func (s *Server) httpServer(ctx context.Context) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	// gRPC without TLS: a proxy in front ends that.
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           s.handler,
		Protocols:         protocols,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// Calls outlive the order to stop: they have the grace period to end.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ErrorLog:    slog.NewLogLogger(s.config.Logger.Handler(), slog.LevelWarn),
	}
}
