package main

import (
	"context"
	"fmt"
	"net/mail"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/demo"
	"github.com/intime-solutions/intime/internal/platform/config"
	"github.com/intime-solutions/intime/internal/platform/postgres/embedded"
	"github.com/intime-solutions/intime/internal/platform/telemetry"
)

type demoCmd struct {
	LogLevel    string `env:"INTIME_LOG_LEVEL" default:"error" enum:"debug,info,warn,error" help:"The least level that is logged: ${enum}."`
	PostgresBin string `env:"INTIME_POSTGRES_BIN" help:"The folder with the binaries of Postgres. Default: a pinned version from npm, else an installed one." placeholder:"DIR"`
}

func (c demoCmd) Run(ctx context.Context) error {
	logger, err := newLogger(config.Log{Level: c.LogLevel}, telemetry.FormatText)
	if err != nil {
		return err
	}
	files, err := os.MkdirTemp("", "intime-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(files) }()

	started := time.Now()
	server, err := embedded.Start(ctx, embedded.Config{
		BinDir: c.PostgresBin, Ephemeral: true,
		Progress: func(line string) { sayf("  %s", line) },
	})
	if err != nil {
		return err
	}
	db := &database{Database: config.Database{URL: server.URL("postgres")}, server: server}
	defer db.close(ctx)
	what := app.Config{
		Server: config.Server{Addr: "127.0.0.1:0", Auth: config.Auth{LocalIssuer: true}},
		Worker: config.Worker{Concurrency: 10, MailFrom: "InTime <no-reply@intime.invalid>"}, GracePeriod: 5 * time.Second,
		DataDir: files, Serve: true, Work: true, Environment: "demo", LocalOnly: true, Version: version, Logger: logger,
	}
	if err := db.prepare(ctx, &what); err != nil {
		return err
	}
	program, err := app.New(ctx, what)
	if err != nil {
		return err
	}
	defer program.Close()
	if err := program.Listen(ctx); err != nil {
		return err
	}
	tell("a throw-away Postgres, migrated and filled with people", time.Since(started))
	if err := play(ctx, program); err != nil {
		return err
	}
	sayf("\nThat is the whole path. `make run` keeps it running.")
	return nil
}

// play runs the program until the story has ended.
func play(ctx context.Context, program *app.App) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	group, running := errgroup.WithContext(running)
	group.Go(func() error { return program.Run(running) })
	group.Go(func() error {
		defer stop()
		return demo.Story(running, demo.StoryConfig{
			URL: program.URL(),
			Token: func(user uuid.UUID) (string, error) {
				token, _, err := program.Issuer().Token(user, time.Hour)
				return token, err
			},
			Step:   tell,
			Outbox: func() ([]string, error) { return recipients(program.Outbox()) },
		})
	})
	return group.Wait()
}

func tell(sentence string, took time.Duration) {
	sayf("✓ %7s  %s", took.Round(time.Millisecond), sentence)
}

// recipients reads the outbox: to whom mail went.
func recipients(folder string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.eml"))
	if err != nil {
		return nil, err
	}
	var to []string
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		message, err := mail.ReadMessage(file)
		_ = file.Close()
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		address, err := mail.ParseAddress(message.Header.Get("To"))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		to = append(to, address.Address)
	}
	return to, nil
}
