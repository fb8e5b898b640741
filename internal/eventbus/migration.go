package eventbus

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	// riverMigrationVersion is where River's tables come in our own order of migrations.
	riverMigrationVersion = 14
	// riverTargetVersion pins River's schema: a newer library does not change the database by surprise.
	riverTargetVersion = 8
)

// Migration makes River's tables, in their own schema, and lets the workers at them.
func Migration() postgres.GoMigration {
	return postgres.GoMigration{
		Version: riverMigrationVersion,
		Up: func(ctx context.Context, pool *pgxpool.Pool) error {
			if err := migrateRiver(ctx, pool, rivermigrate.DirectionUp, riverTargetVersion); err != nil {
				return err
			}
			// The queue's rows live briefly and change often: clean up early.
			_, err := pool.Exec(ctx, `
				GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA river TO intime_worker;
				GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA river TO intime_worker;
				GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA river TO intime_worker;
				ALTER TABLE river.river_job SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000)`)
			if err != nil {
				return fmt.Errorf("grant the queue to the workers: %w", err)
			}
			return nil
		},
		Down: func(ctx context.Context, pool *pgxpool.Pool) error {
			return migrateRiver(ctx, pool, rivermigrate.DirectionDown, -1)
		},
	}
}

func migrateRiver(ctx context.Context, pool *pgxpool.Pool, direction rivermigrate.Direction, target int) error {
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: riverSchema})
	if err != nil {
		return fmt.Errorf("read River's migrations: %w", err)
	}
	if _, err := migrator.Migrate(ctx, direction, &rivermigrate.MigrateOpts{TargetVersion: target}); err != nil {
		return fmt.Errorf("migrate River: %w", err)
	}
	return nil
}
