package app_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"time"

	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/platform/config"
)

// settings are what a worker's process is told.
type settings struct {
	WorkerURL string `json:"worker_url"`
	DataDir   string `json:"data_dir"`
	Version   string `json:"version"`
}

// beWorker runs the program's workers until the process is killed.
func beWorker(encoded string) {
	var s settings
	if err := json.Unmarshal([]byte(encoded), &s); err != nil {
		panic(err)
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	program, err := app.New(context.Background(), app.Config{
		Worker:      config.Worker{Concurrency: 10, AllowFaults: true, MailFrom: "InTime <no-reply@intime.invalid>"},
		GracePeriod: 5 * time.Second, WorkerURL: s.WorkerURL, DataDir: s.DataDir, Work: true, Version: s.Version, Logger: logger,
		Backoff: func(int) time.Duration { return 10 * time.Millisecond },
	})
	if err != nil {
		panic(err)
	}
	if err := program.Run(context.Background()); err != nil {
		panic(err)
	}
}
