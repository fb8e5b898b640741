package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/intime-solutions/intime/internal/platform/principal"
)

// Tx is a transaction that DB began. It is a pgx.Tx, so that libraries take it, but DB alone commits it and rolls it back.
// Like any connection it is for one goroutine at a time.
type Tx struct {
	conn        *pgx.Conn
	closed      bool
	afterCommit []func()
}

var _ pgx.Tx = (*Tx)(nil)

var errNotYours = errors.New("the transaction belongs to the function that began it")

// AfterCommit has f called once the transaction has committed, and not at all if it does not. f must not block.
func (tx *Tx) AfterCommit(f func()) { tx.afterCommit = append(tx.afterCommit, f) }

// As runs fn in the same transaction on behalf of p, under row level security, and goes back to the login afterwards. It
// is for the bus: a handler's effects and the bus's own books commit together.
func (tx *Tx) As(ctx context.Context, p principal.Principal, fn func(ctx context.Context) error) error {
	ctx = principal.With(ctx, p)
	claims, err := claimsOf(ctx, p)
	if err != nil {
		return err
	}
	if _, err := tx.conn.Exec(ctx, `SELECT set_config('request.jwt.claims', $1, true), set_config('role', $2, true)`,
		claims, roleAuthenticated); err != nil {
		return fmt.Errorf("act as the principal: %w", err)
	}
	if err := fn(ctx); err != nil {
		return err
	}
	// The role first: authenticated may not call set_config.
	var batch pgx.Batch
	batch.Queue(`SET LOCAL ROLE NONE`)
	batch.Queue(`SELECT set_config('request.jwt.claims', '', true)`)
	if err := tx.conn.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("act as the login again: %w", err)
	}
	return nil
}

// Exec runs a statement.
func (tx *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if tx.closed {
		return pgconn.CommandTag{}, pgx.ErrTxClosed
	}
	return tx.conn.Exec(ctx, sql, args...)
}

// Query runs a query.
func (tx *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if tx.closed {
		return nil, pgx.ErrTxClosed
	}
	return tx.conn.Query(ctx, sql, args...)
}

// QueryRow runs a query for one row.
func (tx *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return tx.conn.QueryRow(ctx, sql, args...)
}

// SendBatch sends statements in one round trip.
func (tx *Tx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return tx.conn.SendBatch(ctx, b)
}

// CopyFrom copies rows into a table.
func (tx *Tx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	if tx.closed {
		return 0, pgx.ErrTxClosed
	}
	return tx.conn.CopyFrom(ctx, table, columns, rows)
}

// Begin begins a savepoint.
func (tx *Tx) Begin(ctx context.Context) (pgx.Tx, error) { return beginSavepoint(ctx, tx, 1) }

// Commit is refused: DB commits.
func (tx *Tx) Commit(context.Context) error { return errNotYours }

// Rollback is refused: returning an error from the function rolls back.
func (tx *Tx) Rollback(context.Context) error { return errNotYours }

// LargeObjects is part of pgx.Tx and not used: nothing of ours is a large object.
func (tx *Tx) LargeObjects() pgx.LargeObjects { panic("postgres: large objects are not supported") }

// Prepare prepares a statement.
func (tx *Tx) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	return tx.conn.Prepare(ctx, name, sql)
}

// Conn returns the connection.
func (tx *Tx) Conn() *pgx.Conn { return tx.conn }

func (tx *Tx) commit(ctx context.Context) error {
	tx.closed = true
	tag, err := tx.conn.Exec(ctx, "COMMIT")
	if err != nil {
		_ = tx.conn.Close(context.WithoutCancel(ctx))
		return err
	}
	if tag.String() != "COMMIT" {
		return pgx.ErrTxCommitRollback
	}
	return nil
}

func (tx *Tx) rollback(ctx context.Context) {
	if tx.closed {
		return
	}
	tx.closed = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	if _, err := tx.conn.Exec(ctx, "ROLLBACK"); err != nil {
		_ = tx.conn.Close(ctx)
	}
}
