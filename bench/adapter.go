package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	systemv1 "github.com/intime-solutions/intime/gen/go/intime/system/v1"
	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/platform/config"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// adapter lets another benchmark drive InTime, by the protocol of adapters/intime.json: setup migrates an empty database
// and adds an organisation with a person; work runs the workers until it is told to stop. Both are told by the environment:
// DATABASE_URL is the superuser's, BENCH_HANDLERS says how many handlers listen to the event, BENCH_SINK is the TCP address
// that hears of every start: a line with the probe's number, the handler's and the time in Unix nanoseconds.
func adapter(ctx context.Context, args []string) error {
	if len(args) == 1 {
		switch args[0] {
		case "setup":
			return adapterSetup(ctx)
		case "work":
			return adapterWork(ctx)
		}
	}
	return errors.New("usage: bench adapter setup|work")
}

func adapterSetup(ctx context.Context) error {
	bus, err := newBus()
	if err != nil {
		return err
	}
	if err := addHandlers(bus, nil); err != nil {
		return err
	}
	return adminURL(os.Getenv("DATABASE_URL")).migrate(ctx, bus)
}

func adapterWork(ctx context.Context) error {
	_, worker, err := loginURLs(adminURL(os.Getenv("DATABASE_URL")))
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", os.Getenv("BENCH_SINK"))
	if err != nil {
		return err
	}
	report := &sink{out: bufio.NewWriter(conn)}
	defer conn.Close()
	dir, err := os.MkdirTemp("", "intime-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	program, err := app.New(ctx, app.Config{
		Worker: config.Worker{Concurrency: 10, MailFrom: mailFrom}, WorkerURL: worker, DataDir: dir,
		GracePeriod: 5 * time.Second, Work: true, Version: "bench", Logger: logger,
		OnProbe: func(seq int64) { report.started(seq, 0) },
	})
	if err != nil {
		return err
	}
	defer program.Close()
	if err := addHandlers(program.Bus(), report); err != nil {
		return err
	}
	go report.flushNowAndThen(ctx)
	return errors.Join(program.Run(ctx), report.flush())
}

// addHandlers registers the handlers beyond the probe's own.
func addHandlers(bus *eventbus.Bus, report *sink) error {
	handlers, err := strconv.Atoi(os.Getenv("BENCH_HANDLERS"))
	if err != nil {
		handlers = 1
	}
	for i := 1; i < handlers; i++ {
		eventbus.Handle(bus, fmt.Sprintf("bench_probe_%d", i),
			func(_ context.Context, _ *postgres.Tx, d eventbus.Delivery[*systemv1.SystemProbe]) error {
				report.started(d.Event.GetSeq(), i)
				return nil
			}, eventbus.HandlerOptions{})
	}
	return bus.Validate()
}

// sink is the connection that hears of every start. Lines are buffered: the time in them counts.
type sink struct {
	mu  sync.Mutex
	out *bufio.Writer
}

func (s *sink) started(seq int64, handler int) {
	now := time.Now().UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.out, "%d %d %d\n", seq, handler, now)
}

func (s *sink) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Flush()
}

func (s *sink) flushNowAndThen(ctx context.Context) {
	for pause(ctx, 2*time.Millisecond) == nil {
		if s.flush() != nil {
			return
		}
	}
}
