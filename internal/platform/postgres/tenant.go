package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/intime-solutions/intime/internal/platform/principal"
)

// ErrNoTenant is returned where a tenant transaction was asked for on behalf of nobody.
var ErrNoTenant = errors.New("no principal in the context: a tenant transaction needs one")

// roleAuthenticated is the database role that everything on a tenant's behalf runs as.
const roleAuthenticated = "authenticated"

// rollbackTimeout bounds a rollback, which is tried although the caller's context may have ended. A connection that does
// not answer by then is thrown away.
const rollbackTimeout = 5 * time.Second

// Tenant runs fn in a transaction as the context's principal: as the role authenticated, under row level security. It
// commits when fn returns nil and rolls back otherwise. Without a principal it returns ErrNoTenant.
func (db *DB) Tenant(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return db.tenant(ctx, "BEGIN", fn)
}

// TenantRead is Tenant for reading alone: the transaction refuses to write.
func (db *DB) TenantRead(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return db.tenant(ctx, "BEGIN READ ONLY", fn)
}

// TenantSnapshot is TenantRead in which all statements see the database as it was at one moment.
func (db *DB) TenantSnapshot(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return db.tenant(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", fn)
}

func (db *DB) tenant(ctx context.Context, begin string, fn func(context.Context, *Tx) error) error {
	p, ok := principal.From(ctx)
	if !ok || p.OrgID == uuid.Nil {
		return ErrNoTenant
	}
	claims, err := claimsOf(ctx, p)
	if err != nil {
		return err
	}
	return db.run(ctx, fn, settings{begin: begin, claims: claims, role: roleAuthenticated, synchronousCommit: "on"})
}

// Login runs fn in a transaction as the login itself, on behalf of nobody: what it may see is what the login was granted,
// and that is no tenant's table. It is for the bus's books.
func (db *DB) Login(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return db.run(ctx, fn, settings{begin: "BEGIN", role: "none", synchronousCommit: "on"})
}

// LoginRelaxed is Login without waiting for the disk: when the server crashes within the next moment, the commit may be
// lost as a whole. It is for what can simply be done again.
func (db *DB) LoginRelaxed(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return db.run(ctx, fn, settings{begin: "BEGIN", role: "none", synchronousCommit: "off"})
}

// LoginRow runs one statement as the login itself, outside a transaction and so in one round trip, and scans its one row.
// It returns pgx.ErrNoRows where there is none.
func (db *DB) LoginRow(ctx context.Context, sql string, args []any, into ...any) error {
	return ended(ctx, db.pool.QueryRow(ctx, sql, args...).Scan(into...))
}

// settings are what a transaction begins with.
type settings struct{ begin, claims, role, synchronousCommit string }

func (db *DB) run(ctx context.Context, fn func(context.Context, *Tx) error, with settings) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("get a database connection: %w", err)
	}
	defer conn.Release()
	tx := &Tx{conn: conn.Conn()}
	db.begin(tx, with)
	// A panic must not leave the transaction open; it goes on to whoever recovers.
	defer tx.rollback(ctx)
	if err := fn(ctx, tx); err != nil {
		return tx.blame(ended(ctx, err))
	}
	if err := tx.commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", tx.blame(ended(ctx, err)))
	}
	for _, f := range tx.afterCommit {
		f()
	}
	return nil
}

// begin is the one place where transactions begin. Every setting ends with the transaction, so that the connection goes
// back as it came.
func (db *DB) begin(tx *Tx, with settings) {
	tx.later(with.begin)
	tx.later(`SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true),
		set_config('idle_in_transaction_session_timeout', $3, true),
		set_config('synchronous_commit', $4, true),
		set_config('request.jwt.claims', $5, true), set_config('role', $6, true)`,
		milliseconds(db.config.StatementTimeout), milliseconds(db.config.LockTimeout),
		milliseconds(db.config.IdleTimeout), with.synchronousCommit, with.claims, with.role)
}

// claims are the principal's, written anew: nothing of the token itself reaches the database, so Go and Postgres cannot
// read it differently.
type claims struct {
	Subject   string `json:"sub,omitempty"`
	Role      string `json:"role"`
	Actor     string `json:"actor,omitempty"`
	OrgID     string `json:"org_id,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	IP        string `json:"ip,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`

	// Run is there in handlers alone. The trigger events_cascade looks for its name.
	Run *principal.Run `json:"run,omitempty"`
}

func claimsOf(ctx context.Context, p principal.Principal) (string, error) {
	request := principal.RequestFrom(ctx)
	c := claims{Role: roleAuthenticated, RequestID: request.ID, IP: request.IP, UserAgent: request.UserAgent}
	if p.IsSystem() {
		c.Actor, c.OrgID = "system", p.OrgID.String()
	} else {
		c.Subject = p.UserID.String()
	}
	if run, ok := principal.RunFrom(ctx); ok {
		c.Run = &run
	}
	data, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("write claims: %w", err)
	}
	return string(data), nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
