package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says how to reach the database and how long things may take there.
type Config struct {
	// URL is the login's connection string.
	URL string
	// ApplicationName is what pg_stat_activity shows.
	ApplicationName string
	// MaxConns is the size of the pool. Default: 10.
	MaxConns int32
	// StatementTimeout is how long one statement may run. Default: 5 s.
	StatementTimeout time.Duration
	// LockTimeout is how long a statement may wait for a lock. Default: 2 s.
	LockTimeout time.Duration
	// Warm are statements that each new connection runs before it is used: they plan what would be planned in somebody's way.
	Warm []string
	// MinConns is how many connections are open from the start. Default: 0.
	MinConns int32
	// IdleTimeout is how long a transaction may sit between two statements. Default: 10 s.
	IdleTimeout time.Duration
}

// WithDefaults returns the config with the defaults where nothing was said.
func (c Config) WithDefaults() Config {
	if c.MaxConns == 0 {
		c.MaxConns = 10
	}
	if c.StatementTimeout == 0 {
		c.StatementTimeout = 5 * time.Second
	}
	if c.LockTimeout == 0 {
		c.LockTimeout = 2 * time.Second
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = 10 * time.Second
	}
	return c
}

// DB is a pool of one login's connections. It is safe for concurrent use.
type DB struct {
	pool   *pgxpool.Pool
	config Config
}

// queueConnections are what River needs for itself: it fetches for each queue, completes in batches, and looks after them.
const queueConnections = 6

// cancelDelay is how long a query that was cancelled has to end before its connection is given up: a server that cannot be
// reached answers nothing. It is well within the second that a call may outlive its deadline by.
const cancelDelay = 500 * time.Millisecond

// Open makes a pool and connects once, so that a wrong address or password is noticed now.
func Open(ctx context.Context, config Config) (*DB, error) {
	config = config.WithDefaults()
	poolConfig, err := pgxpool.ParseConfig(config.URL)
	if err != nil {
		return nil, fmt.Errorf("the database's connection string cannot be read: %w", err)
	}
	poolConfig.MaxConns, poolConfig.MinConns = config.MaxConns, config.MinConns
	if len(config.Warm) > 0 {
		poolConfig.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error { return warm(ctx, conn, config.Warm) }
	}
	poolConfig.ConnConfig.RuntimeParams["application_name"] = config.ApplicationName
	// Times are UTC wherever they are shown.
	poolConfig.ConnConfig.RuntimeParams["timezone"] = "UTC"
	// A call that is cancelled cancels its query; without this the query would run on until its own timeout.
	poolConfig.ConnConfig.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelDelay}
	}
	pool, err := pgxpool.NewWithConfig(ctx, poolConfig)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, describeConnect(err)
	}
	return &DB{pool: pool, config: config}, nil
}

// warm runs the statements. An older schema may lack what they call, and that is said elsewhere, so an error is none here.
func warm(ctx context.Context, conn *pgx.Conn, statements []string) error {
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil && conn.IsClosed() {
			return err
		}
	}
	return nil
}

// Dedicated opens a DB of the same login with one connection of its own, whose commits do not wait for the disk: when the
// server crashes within the next moment they may be lost, as a whole. The caller closes it.
func (db *DB) Dedicated(ctx context.Context) (*DB, error) {
	config := db.pool.Config()
	config.MaxConns, config.MinConns, config.MinIdleConns, config.AfterConnect = 1, 1, 0, nil
	config.ConnConfig.RuntimeParams["synchronous_commit"] = "off"
	// LoginRow sets none of its own.
	config.ConnConfig.RuntimeParams["statement_timeout"] = milliseconds(db.config.StatementTimeout)
	config.ConnConfig.RuntimeParams["lock_timeout"] = milliseconds(db.config.LockTimeout)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open a connection of its own: %w", err)
	}
	return &DB{pool: pool, config: db.config}, nil
}

// Close waits for the connections in use and closes all.
func (db *DB) Close() { db.pool.Close() }

// Ping connects and comes back.
func (db *DB) Ping(ctx context.Context) error { return db.pool.Ping(ctx) }

// Stat tells how the pool is used.
func (db *DB) Stat() *pgxpool.Stat { return db.pool.Stat() }

// QueuePool opens a pool for the job queue alone: its library brings its own queries. The caller closes it. A lint refuses it
// everywhere but in the event bus.
func (db *DB) QueuePool(ctx context.Context) (*pgxpool.Pool, error) {
	config := db.pool.Config()
	config.MaxConns, config.MinConns, config.AfterConnect = queueConnections, 0, nil
	config.ConnConfig.BuildContextWatcherHandler = closeWhenCancelled
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the queue's connections: %w", err)
	}
	return pool, nil
}

// closeWhenCancelled gives a connection up when its context ends, as pgx does by itself. It is for connections that listen:
// asking the server to cancel makes pgx wait for 100 ms, in which nothing is heard.
func closeWhenCancelled(conn *pgconn.PgConn) ctxwatch.Handler {
	return &pgconn.DeadlineContextWatcherHandler{Conn: conn.Conn()}
}

// Listen connects outside the pool, for LISTEN and NOTIFY. The caller closes the connection.
func (db *DB) Listen(ctx context.Context) (*pgx.Conn, error) {
	config := db.pool.Config().ConnConfig
	config.BuildContextWatcherHandler = closeWhenCancelled
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect for notifications: %w", err)
	}
	return conn, nil
}
