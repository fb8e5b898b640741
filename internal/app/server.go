package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/intime-solutions/intime/gen/go/intime/candidate/v1/candidatev1connect"
	"github.com/intime-solutions/intime/gen/go/intime/event/v1/eventv1connect"
	"github.com/intime-solutions/intime/gen/go/intime/job/v1/jobv1connect"
	"github.com/intime-solutions/intime/gen/go/intime/session/v1/sessionv1connect"
	"github.com/intime-solutions/intime/gen/go/intime/student/v1/studentv1connect"
	"github.com/intime-solutions/intime/gen/go/intime/user/v1/userv1connect"
	"github.com/intime-solutions/intime/internal/alert"
	"github.com/intime-solutions/intime/internal/auth"
	"github.com/intime-solutions/intime/internal/candidate"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/job"
	"github.com/intime-solutions/intime/internal/platform/config"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/rpc"
	"github.com/intime-solutions/intime/internal/student"
	"github.com/intime-solutions/intime/internal/user"
	"github.com/intime-solutions/intime/web"
)

const (
	// apiConnections suits a server with Postgres' default of 100 connections and a handful of processes.
	apiConnections  = 16
	mailConnections = 1
	// workerMinConnections are open and warm before the first event.
	workerMinConnections = 6
	// handlerIdleMargin is how much longer than the handler a transaction may sit idle: the handler's own timeout comes
	// first, the database's is for a process that stands still.
	handlerIdleMargin = 5 * time.Second
	// readyTimeout is how long asking whether the server is ready may take.
	readyTimeout = 2 * time.Second
)

// registerHandlers adds every feature's event handlers to the bus.
func registerHandlers(bus *eventbus.Bus) error {
	for _, register := range []func(*eventbus.Bus) error{
		alert.RegisterHandlers, candidate.RegisterHandlers, job.RegisterHandlers, user.RegisterHandlers,
	} {
		if err := register(bus); err != nil {
			return err
		}
	}
	return nil
}

// mounts are the services.
func (a *App) mounts(chain *rpc.Chain, sessions *auth.Service) []rpc.Mount {
	options := chain.HandlerOptions()
	return []rpc.Mount{
		rpc.At(sessionv1connect.NewSessionServiceHandler(sessions, options...)),
		rpc.At(userv1connect.NewUserServiceHandler(user.NewService(a.api, a.bus), options...)),
		rpc.At(candidatev1connect.NewCandidateServiceHandler(candidate.NewService(a.api, a.bus), options...)),
		rpc.At(jobv1connect.NewJobServiceHandler(job.NewService(a.api, a.bus), options...)),
		rpc.At(studentv1connect.NewStudentServiceHandler(student.NewService(a.api, a.bus), options...)),
		rpc.At(eventv1connect.NewEventServiceHandler(eventbus.NewService(a.api, a.bus), options...)),
		rpc.At(eventv1connect.NewEventHandlerServiceHandler(eventbus.NewHandlerService(a.api, a.bus), options...)),
		rpc.At(eventv1connect.NewDeadLetterServiceHandler(eventbus.NewDeadLetterService(a.api, a.bus), options...)),
		rpc.At(eventv1connect.NewEventSettingsServiceHandler(eventbus.NewSettingsService(a.api, a.bus), options...)),
	}
}

func (a *App) newServer() (*rpc.Server, error) {
	load := auth.NewSessions(a.api).Load
	verifier, err := a.newVerifier()
	if err != nil {
		return nil, err
	}
	sessions, err := auth.NewService(a.issuer, load, auth.ServiceConfig{
		Environment: a.config.Environment, PublicURL: a.publicURL(),
		AllowedOrigins: a.config.Server.AllowedOrigins, DemoPeople: a.config.DemoPeople,
	})
	if err != nil {
		return nil, err
	}
	chain, err := rpc.NewChain(rpc.ChainConfig{
		Authenticate: auth.NewAuthenticator(verifier, load).Authenticate, Logger: a.config.Logger,
		Recheck: a.config.Recheck,
	})
	if err != nil {
		return nil, err
	}
	pages, err := web.Handler()
	if err != nil {
		return nil, err
	}
	var wellKnown http.Handler
	if a.issuer != nil {
		wellKnown = a.issuer.Handler()
	}
	var hosts []string
	if a.config.LocalOnly {
		hosts = rpc.LocalHosts()
	}
	return rpc.New(rpc.Config{
		Addr: a.config.Server.Addr, Chain: chain, Services: a.mounts(chain, sessions), Ready: a.ready,
		WellKnown: wellKnown, Pages: pages, AllowedOrigins: a.config.Server.AllowedOrigins, AllowedHosts: hosts,
		Reflection: a.config.Server.Reflection, HTTPS: strings.HasPrefix(a.config.Server.PublicURL, "https://"),
		GracePeriod: a.config.GracePeriod, Logger: a.config.Logger,
	})
}

func (a *App) newVerifier() (*auth.Verifier, error) {
	var issuers []auth.Issuer
	if a.config.Server.Auth.LocalIssuer {
		issuer, err := NewLocalIssuer(a.config.Server, a.config.DataDir)
		if err != nil {
			return nil, err
		}
		a.issuer = issuer
		issuers = append(issuers, issuer.Issuer())
	}
	if external := a.config.Server.Auth; external.Issuer != "" || len(issuers) == 0 {
		issuers = append(issuers, auth.Issuer{
			URL: external.Issuer, Audiences: external.Audience, JWKSURL: external.JWKSURL, Secret: external.JWTSecret,
		})
	}
	return auth.NewVerifier(auth.VerifierConfig{Issuers: issuers, Logger: a.config.Logger})
}

// localIssuerURL is what the built-in issuer calls itself where the server has no public address: the same whatever the
// port, so that a token made by another process is accepted.
const localIssuerURL = "http://intime.localhost"

// NewLocalIssuer returns the built-in issuer, with its key in the data folder.
func NewLocalIssuer(server config.Server, dataDir string) (*auth.LocalIssuer, error) {
	url := server.PublicURL
	if url == "" {
		url = localIssuerURL
	}
	return auth.NewLocalIssuer(auth.LocalIssuerConfig{Folder: filepath.Join(dataDir, "keys"), URL: url})
}

func (a *App) publicURL() string {
	if a.config.Server.PublicURL != "" {
		return a.config.Server.PublicURL
	}
	return "http://" + a.config.Server.Addr
}

var errClockSkew = errors.New("this machine's clock and the database's are more than 2 s apart")

// ready says whether the server can take calls: the database answers, its schema is ours, and the clocks agree.
func (a *App) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := a.api.CheckSchema(ctx); err != nil {
		return err
	}
	skew, err := a.api.ClockSkew(ctx)
	if err != nil {
		return err
	}
	if skew.Abs() > postgres.MaxClockSkew {
		return fmt.Errorf("%w: %s", errClockSkew, skew)
	}
	return nil
}
