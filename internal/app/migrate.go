package app

import (
	"context"
	"fmt"

	"github.com/pressly/goose/v3"

	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// NewMigrator returns what changes the schema: our migrations and River's, in one order.
func NewMigrator(ctx context.Context, adminURL string) (*postgres.Migrator, error) {
	return postgres.NewMigrator(ctx, adminURL, eventbus.Migration())
}

// Migrate brings the database to this program's schema and tells it of the program's event types and handlers. It returns
// what it ran.
func Migrate(ctx context.Context, adminURL, workerURL string, bus *eventbus.Bus) ([]*goose.MigrationResult, error) {
	migrator, err := NewMigrator(ctx, adminURL)
	if err != nil {
		return nil, err
	}
	defer func() { _ = migrator.Close() }()
	results, err := migrator.Up(ctx)
	if err != nil {
		return results, err
	}
	worker, err := postgres.Open(ctx, postgres.Config{URL: workerURL, ApplicationName: "intime migrate", MaxConns: 1})
	if err != nil {
		return results, fmt.Errorf("log in as a worker: %w", err)
	}
	defer worker.Close()
	return results, bus.Register(ctx, worker)
}
