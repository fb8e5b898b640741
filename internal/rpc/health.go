package rpc

import (
	"context"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"

	"github.com/intime-solutions/intime/internal/platform/apierr"
)

const (
	healthPath = "/healthz" // the process is alive
	readyPath  = "/readyz"  // it can take calls

	readyTimeout = 3 * time.Second
)

// ready says whether the server can take calls: nil, or why it cannot.
func (s *Server) ready(ctx context.Context) error {
	if s.config.Chain.draining.Err() != nil {
		return errDraining
	}
	if s.config.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return s.config.Ready(ctx)
}

func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	writeText(w, http.StatusOK, "ok\n")
}

// serveReady tells the world yes or no; why not is for the log.
func (s *Server) serveReady(w http.ResponseWriter, r *http.Request) {
	if err := s.ready(r.Context()); err != nil {
		s.config.Logger.WarnContext(r.Context(), "not ready", "cause", err.Error())
		writeText(w, http.StatusServiceUnavailable, "not ready\n")
		return
	}
	writeText(w, http.StatusOK, "ready\n")
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// healthChecker answers gRPC's health protocol: a service of ours is as ready as the server.
type healthChecker struct {
	server   *Server
	services map[string]bool
}

// Check returns whether the service, or the server where none is named, can take calls.
func (h healthChecker) Check(ctx context.Context, request *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	if request.Service != "" && !h.services[request.Service] {
		return nil, apierr.New(connect.CodeNotFound, apierr.ReasonUnknownProcedure, "There is no such service.")
	}
	status := grpchealth.StatusServing
	if h.server.ready(ctx) != nil {
		status = grpchealth.StatusNotServing
	}
	return &grpchealth.CheckResponse{Status: status}, nil
}
