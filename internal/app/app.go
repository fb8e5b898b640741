// Package app builds the program from its settings: databases, bus, services, server. Start at New.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/intime-solutions/intime/internal/auth"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/mail"
	"github.com/intime-solutions/intime/internal/platform/config"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/probe"
	"github.com/intime-solutions/intime/internal/rpc"
)

// Config says what the program consists of.
type Config struct {
	Server config.Server
	Worker config.Worker
	// APIURL and WorkerURL are the logins' connection strings.
	APIURL, WorkerURL string
	// DataDir is for the local issuer's key and the mail outbox.
	DataDir string
	// GracePeriod is how long calls and handlers may take to end when the program stops.
	GracePeriod time.Duration
	// Serve and Work say which halves run: the API with its pages, the workers.
	Serve, Work bool
	// Environment is what the dashboard calls this installation, for example "dev".
	Environment string
	// DemoPeople may be signed in as by anybody.
	DemoPeople []auth.DemoPerson
	// LocalOnly answers to the names of this machine alone.
	LocalOnly bool
	// MetricsAddress is where the process serves /metrics; empty for nowhere.
	MetricsAddress string
	// Version is the program's.
	Version string
	// Logger is the program's. Default: slog.Default().
	Logger *slog.Logger
	// Backoff says how long to wait after a failed attempt. Default: eventbus.DefaultBackoff.
	Backoff func(attempt int) time.Duration
	// Watch says how events are watched. Default: eventbus's.
	Watch eventbus.WatchConfig
	// Recheck is how often the caller of a stream is checked again. Default: rpc.DefaultRecheck.
	Recheck time.Duration
	// OnProbe is told when a probe's handler starts, for benchmarks. May be nil.
	OnProbe func(seq int64)
}

// App is the program, ready to run.
type App struct {
	config Config
	api    *postgres.DB // nil when only workers run
	worker *postgres.DB // nil when only the API runs
	bus    *eventbus.Bus
	issuer *auth.LocalIssuer // nil without the built-in issuer
	server *rpc.Server       // nil when only workers run
	sender *mail.Sender      // nil when only the API runs
	outbox string
	cut    bool // whether Run returned although something still ran

	metrics *metricsServer // nil without an address for it
}

// errGraceOver is what Run returns where something did not end in time: a handler that ignores its context, as a rule.
var errGraceOver = errors.New("not everything ended within the grace period: what still ran is cut off")

// New connects to the database, checks its schema, and puts everything together. Close releases what it holds.
func New(ctx context.Context, config Config) (_ *App, err error) {
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	a := &App{config: config}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	if a.bus, err = NewBus(config); err != nil {
		return nil, err
	}
	if config.Serve {
		if err := a.buildServer(ctx); err != nil {
			return nil, err
		}
	}
	if config.Work {
		if err := a.buildWorker(ctx); err != nil {
			return nil, err
		}
	}
	if config.MetricsAddress != "" {
		if a.metrics, err = a.newMetrics(ctx); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// NewBus returns the bus with every event type and handler of the program.
func NewBus(config Config) (*eventbus.Bus, error) {
	types, err := eventbus.NewCatalogue()
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	bus := eventbus.New(eventbus.Config{
		Logger:       config.Logger,
		Worker:       host + "/" + strconv.Itoa(os.Getpid()),
		Version:      config.Version,
		Concurrency:  config.Worker.Concurrency,
		DrainTimeout: config.GracePeriod / 2,
		Backoff:      config.Backoff,
		DailyWarning: config.Server.DailyEventsWarning,
		Watch:        config.Watch,
	}, types)
	probe.Register(bus, probe.Config{AllowFaults: config.Worker.AllowFaults, OnStart: config.OnProbe})
	if err := registerHandlers(bus); err != nil {
		return nil, err
	}
	return bus, bus.Validate()
}

// Run serves and works until the context ends, then drains: calls and handlers that run may finish. It returns when the
// grace period is over at the latest, for whoever stopped the program may kill it then.
func (a *App) Run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- a.run(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace := time.NewTimer(a.config.GracePeriod)
	defer grace.Stop()
	select {
	case err := <-done:
		return err
	case <-grace.C:
		a.cut = true
		return errGraceOver
	}
}

// Listen takes the server's address, so that URL is known before Run.
func (a *App) Listen(ctx context.Context) error { return a.server.Listen(ctx) }

// URL is where the server answers; it is known once it listens.
func (a *App) URL() string { return "http://" + a.server.Addr() }

// Handler is everything that the server serves, for calls from within the process.
func (a *App) Handler() http.Handler { return a.server.Handler() }

// Outbox is the folder that mail goes to; empty where a mail server is configured.
func (a *App) Outbox() string { return a.outbox }

// MetricsURL is where the metrics are; empty where they are served nowhere.
func (a *App) MetricsURL() string {
	if a.metrics == nil {
		return ""
	}
	return "http://" + a.metrics.listener.Addr().String() + "/metrics"
}

// Issuer is the built-in issuer; nil where it is off.
func (a *App) Issuer() *auth.LocalIssuer { return a.issuer }

// Bus is the event bus.
func (a *App) Bus() *eventbus.Bus { return a.bus }

// Close closes the database's connections. Those that are still used, where Run did not wait, end with the process.
func (a *App) Close() {
	if a.cut {
		return
	}
	a.metrics.close()
	for _, db := range []*postgres.DB{a.api, a.worker} {
		if db != nil {
			db.Close()
		}
	}
}

func (a *App) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	if a.server != nil {
		group.Go(func() error { return a.server.Run(ctx) })
	}
	if a.worker != nil {
		group.Go(func() error { return a.bus.Run(ctx, a.worker) })
		group.Go(func() error { return a.sender.Run(ctx) })
	} else {
		group.Go(func() error { a.bus.Announce(ctx, a.api); return nil })
	}
	if a.metrics != nil {
		group.Go(func() error { return a.metrics.run(ctx) })
	}
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

func (a *App) buildServer(ctx context.Context) (err error) {
	a.api, err = open(ctx, postgres.Config{URL: a.config.APIURL, ApplicationName: "intime api", MaxConns: apiConnections})
	if err != nil {
		return err
	}
	a.server, err = a.newServer() //nolint:contextcheck // checks the handlers it is given by calling them
	return err
}

func (a *App) buildWorker(ctx context.Context) (err error) {
	a.worker, err = open(ctx, postgres.Config{
		URL: a.config.WorkerURL, ApplicationName: "intime worker", MaxConns: a.bus.Connections() + mailConnections,
		StatementTimeout: eventbus.HandlerTimeout, IdleTimeout: eventbus.HandlerTimeout + handlerIdleMargin,
		MinConns: workerMinConnections, Warm: eventbus.Warm(),
	})
	if err != nil {
		return err
	}
	transport, err := a.mailTransport()
	if err != nil {
		return err
	}
	a.sender, err = mail.NewSender(mail.SenderConfig{
		From: a.config.Worker.MailFrom, Transport: transport, Logger: a.config.Logger,
	}, a.worker)
	return err
}

func (a *App) mailTransport() (mail.Transport, error) {
	if a.config.Worker.SMTPURL != "" {
		return mail.NewSMTP(a.config.Worker.SMTPURL)
	}
	a.outbox = filepath.Join(a.config.DataDir, "outbox")
	return mail.NewOutbox(a.outbox)
}

// open connects and refuses a schema that is not this program's.
func open(ctx context.Context, config postgres.Config) (*postgres.DB, error) {
	db, err := postgres.Open(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := db.CheckSchema(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}
