package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/intime-solutions/intime/migrations"
)

const (
	// minServerVersion is the oldest Postgres that the schema runs on.
	minServerVersion = 150000
	migrationLock    = 7_241_905_113 // any number that nothing else on the server locks
)

// ErrTooOld is returned for a server older than Postgres 15.
var ErrTooOld = errors.New("the Postgres server is too old: InTime needs version 15 or later")

// Migrator changes the schema, as the administrator.
type Migrator struct {
	provider *goose.Provider
	db       *sql.DB
	url      string
}

// GoMigration is a migration that is code: a library that brings its own. It gets a pool whose connections act as the
// schema's owner. It has to be idempotent, for its effects do not commit together with the note that it ran.
type GoMigration struct {
	Version  int64
	Up, Down func(ctx context.Context, pool *pgxpool.Pool) error
}

// NewMigrator connects as the administrator of adminURL.
func NewMigrator(ctx context.Context, adminURL string, goMigrations ...GoMigration) (*Migrator, error) {
	config, err := pgx.ParseConfig(adminURL)
	if err != nil {
		return nil, fmt.Errorf("the database's connection string cannot be read: %w", err)
	}
	// A statement that row level security would quietly cut short fails instead.
	config.RuntimeParams["row_security"] = "off"
	config.RuntimeParams["application_name"] = "intime migrate"
	// A change of the schema invalidates what was prepared before it.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	db := stdlib.OpenDB(*config)
	var version int
	if err := db.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		_ = db.Close()
		return nil, describeConnect(err)
	}
	if version < minServerVersion {
		_ = db.Close()
		return nil, fmt.Errorf("%w; this one is %d", ErrTooOld, version/10000)
	}
	var registered []*goose.Migration
	for _, m := range goMigrations {
		registered = append(registered, goose.NewGoMigration(m.Version,
			&goose.GoFunc{RunDB: withOwnerPool(adminURL, m.Up)}, &goose.GoFunc{RunDB: withOwnerPool(adminURL, m.Down)}))
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS,
		goose.WithGoMigrations(registered...), goose.WithDisableGlobalRegistry(true), goose.WithSessionLocker(sessionLocker{}))
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return &Migrator{provider: provider, db: db, url: adminURL}, nil
}

// Close closes the connections.
func (m *Migrator) Close() error { return m.db.Close() }

// Up brings the schema to the newest version and the logins' passwords in line, and returns what it ran. Processes that
// do it at once wait for each other.
func (m *Migrator) Up(ctx context.Context) ([]*goose.MigrationResult, error) {
	results, err := m.provider.Up(ctx)
	if err != nil {
		return results, fmt.Errorf("migrate up: %w", err)
	}
	admin, err := pgx.Connect(ctx, m.url)
	if err != nil {
		return results, describeConnect(err)
	}
	defer func() { _ = admin.Close(context.WithoutCancel(ctx)) }()
	return results, setLoginPasswords(ctx, admin)
}

// Down takes the newest migration back; nil where there is none.
func (m *Migrator) Down(ctx context.Context) (*goose.MigrationResult, error) {
	result, err := m.provider.Down(ctx)
	if errors.Is(err, goose.ErrNoNextVersion) {
		return nil, nil //nolint:nilnil // nothing to take back is no error and no result
	}
	if err != nil {
		return nil, fmt.Errorf("migrate down: %w", err)
	}
	return result, nil
}

// DownAll takes all migrations back. Every table goes, with what is in it.
func (m *Migrator) DownAll(ctx context.Context) error {
	if _, err := m.provider.DownTo(ctx, 0); err != nil {
		return fmt.Errorf("migrate down: %w", err)
	}
	return nil
}

// Status returns every migration and whether it was applied, oldest first.
func (m *Migrator) Status(ctx context.Context) ([]*goose.MigrationStatus, error) {
	status, err := m.provider.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("migration status: %w", err)
	}
	return status, nil
}

func withOwnerPool(adminURL string, run func(context.Context, *pgxpool.Pool) error) func(context.Context, *sql.DB) error {
	return func(ctx context.Context, _ *sql.DB) error {
		config, err := pgxpool.ParseConfig(adminURL)
		if err != nil {
			return err
		}
		config.ConnConfig.RuntimeParams["role"] = "intime_owner"
		pool, err := pgxpool.NewWithConfig(ctx, config)
		if err != nil {
			return err
		}
		defer pool.Close()
		return run(ctx, pool)
	}
}

// sessionLocker waits for the lock inside Postgres; goose's own asks again every few seconds.
type sessionLocker struct{}

var _ lock.SessionLocker = sessionLocker{}

func (sessionLocker) SessionLock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock))
	return err
}

func (sessionLocker) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", int64(migrationLock))
	return err
}
