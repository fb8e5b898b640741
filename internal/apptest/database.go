package apptest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/demo"
	"github.com/intime-solutions/intime/internal/platform/config"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/postgres/embedded"
)

const template = "intime_template"

// cluster is the test binary's Postgres.
type cluster struct {
	server *embedded.Server
	// cloning is held while a template is copied: Postgres refuses to copy one that another copy is being made of.
	cloning sync.Mutex
}

//nolint:gochecknoglobals // one server for all tests of a binary
var (
	shared  = sync.OnceValues(startCluster)
	started atomic.Bool
)

// Main runs a package's tests and stops their Postgres, which the first test that needs one starts.
//
//	func TestMain(m *testing.M) { apptest.Main(m) }
func Main(m *testing.M) {
	m.Run()
	if started.Load() {
		if c, err := shared(); err == nil {
			_ = c.server.Stop(context.Background())
		}
	}
}

func startCluster() (*cluster, error) {
	started.Store(true)
	ctx := context.Background()
	server, err := embedded.Start(ctx, embedded.Config{
		Ephemeral: true, BinDir: os.Getenv("INTIME_POSTGRES_BIN"),
		Settings: map[string]string{"max_connections": "300"},
	})
	if err != nil {
		return nil, err
	}
	if err := makeTemplate(ctx, server); err != nil {
		return nil, errors.Join(err, server.Stop(ctx))
	}
	return &cluster{server: server}, nil
}

func makeTemplate(ctx context.Context, server *embedded.Server) error {
	conn, err := pgx.Connect(ctx, server.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+template); err != nil {
		return err
	}
	admin := server.URL(template)
	worker, err := postgres.LoginURL(admin, postgres.LoginWorker)
	if err != nil {
		return err
	}
	bus, err := app.NewBus(app.Config{Worker: config.Worker{Concurrency: 1}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if _, err := app.Migrate(ctx, admin, worker, bus); err != nil {
		return fmt.Errorf("make the template: %w", err)
	}
	return demo.Seed(ctx, admin)
}

// Database returns the superuser's connection string of a migrated and seeded database that the test has for itself.
func Database(t *testing.T) string {
	t.Helper()
	return clone(t, template)
}

// EmptyDatabase returns the superuser's connection string of an empty database that the test has for itself.
func EmptyDatabase(t *testing.T) string {
	t.Helper()
	return clone(t, "template1")
}

func clone(t *testing.T, from string) string {
	t.Helper()
	c, err := shared()
	require.NoError(t, err)
	name := "test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	conn := Connect(t, c.server.URL("postgres"))
	c.cloning.Lock()
	defer c.cloning.Unlock()
	_, err = conn.Exec(t.Context(), fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, from))
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		conn, err := pgx.Connect(ctx, c.server.URL("postgres"))
		if err != nil {
			return
		}
		defer func() { _ = conn.Close(ctx) }()
		_, _ = conn.Exec(ctx, fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name))
	})
	return c.server.URL(name)
}
