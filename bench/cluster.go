package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/platform/config"
	"github.com/intime-solutions/intime/internal/platform/postgres/embedded"
)

// cluster is the Postgres that everything is measured on. Every workload gets a database of its own.
type cluster struct {
	server *embedded.Server
	admin  *pgx.Conn
	dir    string
	made   int
}

// startCluster starts a Postgres whose data go when it stops. It waits for the disk at every commit unless the settings
// say otherwise.
func startCluster(ctx context.Context, name string, settings map[string]string) (*cluster, error) {
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	all := map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "256MB",
		"max_connections": "100",
	}
	maps.Copy(all, settings)
	c := &cluster{dir: filepath.Join(filepath.Dir(embedded.DefaultDir(here)), name)}
	c.server, err = embedded.Start(ctx, embedded.Config{
		Dir: c.dir, Ephemeral: true, BinDir: os.Getenv("INTIME_POSTGRES_BIN"),
		Settings: all, Progress: note,
	})
	if err != nil {
		return nil, err
	}
	if c.admin, err = pgx.Connect(ctx, c.server.URL("postgres")); err != nil {
		return nil, errors.Join(err, c.server.Stop(context.WithoutCancel(ctx)))
	}
	return c, nil
}

func (c *cluster) stop(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	_ = c.admin.Close(ctx)
	// The program's own files: the server removes its folder only when nothing of others is in it.
	_ = os.RemoveAll(filepath.Join(c.dir, "outbox"))
	return c.server.Stop(ctx)
}

// database is one database of the cluster.
type database struct {
	cluster *cluster
	name    string
}

// create makes a database from a template; template1 is the empty one. It begins with a checkpoint, so that no workload
// pays for what the one before it wrote.
func (c *cluster) create(ctx context.Context, template string) (*database, error) {
	c.made++
	d := &database{cluster: c, name: fmt.Sprintf("bench_%d", c.made)}
	for _, statement := range []string{
		fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", d.name, template), "CHECKPOINT",
	} {
		if _, err := c.admin.Exec(ctx, statement); err != nil {
			return nil, fmt.Errorf("make a database: %w", err)
		}
	}
	return d, nil
}

// drop removes the database, whoever is still connected to it.
func (d *database) drop(ctx context.Context) error {
	_, err := d.cluster.admin.Exec(context.WithoutCancel(ctx), fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", d.name))
	return err
}

// adminURL is the superuser's connection string of a database.
type adminURL string

func (d *database) adminURL() adminURL { return adminURL(d.cluster.server.URL(d.name)) }

// as runs fn on a connection of the superuser, whom row level security does not bind.
func (u adminURL) as(ctx context.Context, fn func(conn *pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, string(u))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return fn(conn)
}

// exec runs statements; several in one text are fine.
func (u adminURL) exec(ctx context.Context, statements ...string) error {
	return u.as(ctx, func(conn *pgx.Conn) error {
		for _, s := range statements {
			if _, err := conn.PgConn().Exec(ctx, s).ReadAll(); err != nil {
				first, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
				return fmt.Errorf("%s: %w", first, err)
			}
		}
		return nil
	})
}

// migrate brings a database to InTime's schema and adds the bench's organisations and people.
func (u adminURL) migrate(ctx context.Context, bus *eventbus.Bus) error {
	_, worker, err := loginURLs(u)
	if err != nil {
		return err
	}
	if _, err := app.Migrate(ctx, string(u), worker, bus); err != nil {
		return err
	}
	return u.exec(ctx, seedPeople, analyzeFilled)
}

// newBus returns a bus with all handlers, for the catalogues.
func newBus() (*eventbus.Bus, error) {
	return app.NewBus(app.Config{Worker: config.Worker{Concurrency: 1}, Logger: slog.New(slog.DiscardHandler)})
}

// makeTemplate makes a database with InTime's schema and the bench's organisations and people.
func (c *cluster) makeTemplate(ctx context.Context) (*database, error) {
	d, err := c.create(ctx, "template1")
	if err != nil {
		return nil, err
	}
	bus, err := newBus()
	if err != nil {
		return nil, err
	}
	return d, d.adminURL().migrate(ctx, bus)
}
