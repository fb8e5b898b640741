package postgres

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/intime-solutions/intime/internal/platform/principal"
)

// Tx is a transaction that DB began. It is a pgx.Tx, so that libraries take it, but DB alone commits it and rolls it back.
// Like any connection it is for one goroutine at a time.
//
// What only sets the transaction up, BEGIN and its settings first of all, is not sent by itself: it waits and goes with
// the next statement, in one round trip.
type Tx struct {
	conn        *pgx.Conn
	waiting     []*pgx.QueuedQuery
	claiming    *pgx.QueuedQuery // what last set the claims; nil where nothing did
	sent        bool             // whether the server knows of the transaction
	closed      bool
	afterCommit []func()
}

var _ pgx.Tx = (*Tx)(nil)

var errNotYours = errors.New("the transaction belongs to the function that began it")

// AfterCommit has f called once the transaction has committed, and not at all if it does not. f must not block.
func (tx *Tx) AfterCommit(f func()) { tx.afterCommit = append(tx.afterCommit, f) }

// As runs fn in the same transaction on behalf of p, under row level security, and goes back to the login afterwards. It
// is for the bus: a handler's effects and the bus's own books commit together. A principal without an organisation gets
// ErrNoTenant. After an error of fn the transaction must
// not be used any more; returning the error sees to that.
func (tx *Tx) As(ctx context.Context, p principal.Principal, fn func(ctx context.Context) error) error {
	if p.OrgID == uuid.Nil {
		return ErrNoTenant
	}
	ctx = principal.With(ctx, p)
	claims, err := claimsOf(ctx, p)
	if err != nil {
		return err
	}
	tx.claim(claims)
	began := tx.claiming
	if err := fn(ctx); err != nil {
		return err
	}
	if i := slices.Index(tx.waiting, began); i >= 0 {
		// Nothing was sent on his behalf.
		tx.waiting = tx.waiting[:i]
		return nil
	}
	// The role first: authenticated may not call set_config.
	tx.later(`SET LOCAL ROLE NONE`)
	tx.later(`SELECT set_config('request.jwt.claims', '', true)`)
	return nil
}

// Claim writes the claims anew within As, from a context that knows more by now: the run that it belongs to. It goes with the
// next statement, and costs nothing where there is none.
func (tx *Tx) Claim(ctx context.Context) error {
	p, ok := principal.From(ctx)
	if !ok || p.OrgID == uuid.Nil {
		return ErrNoTenant
	}
	claims, err := claimsOf(ctx, p)
	if err != nil {
		return err
	}
	if slices.Contains(tx.waiting, tx.claiming) {
		// The server knows of no others yet.
		tx.claiming.Arguments[0] = claims
		return nil
	}
	tx.later(`SET LOCAL ROLE NONE`)
	tx.claim(claims)
	return nil
}

// Exec runs a statement.
func (tx *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if len(tx.waiting) == 0 && !tx.closed {
		return tx.conn.Exec(ctx, sql, args...)
	}
	var batch pgx.Batch
	batch.Queue(sql, args...)
	results := tx.SendBatch(ctx, &batch)
	tag, err := results.Exec()
	return tag, errors.Join(err, ignoreAfter(err, results.Close()))
}

// Query runs a query.
func (tx *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if len(tx.waiting) == 0 && !tx.closed {
		return tx.conn.Query(ctx, sql, args...)
	}
	var batch pgx.Batch
	batch.Queue(sql, args...)
	results := tx.SendBatch(ctx, &batch)
	rows, err := results.Query()
	if err != nil {
		_ = results.Close()
		return rows, err
	}
	return &batchRows{Rows: rows, results: results}, nil
}

// QueryRow runs a query for one row.
func (tx *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if len(tx.waiting) == 0 && !tx.closed {
		return tx.conn.QueryRow(ctx, sql, args...)
	}
	rows, err := tx.Query(ctx, sql, args...)
	return oneRow{rows: rows, err: err}
}

// SendBatch sends statements in one round trip.
func (tx *Tx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if tx.closed {
		return failedBatch{err: pgx.ErrTxClosed}
	}
	if len(tx.waiting) == 0 {
		return tx.conn.SendBatch(ctx, b)
	}
	before := len(tx.waiting)
	all := &pgx.Batch{QueuedQueries: append(tx.waiting, b.QueuedQueries...)}
	tx.waiting, tx.sent = nil, true
	results := tx.conn.SendBatch(ctx, all)
	for range before {
		if _, err := results.Exec(); err != nil {
			_ = results.Close()
			return failedBatch{err: err}
		}
	}
	return results
}

// CopyFrom copies rows into a table.
func (tx *Tx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	if err := tx.flush(ctx); err != nil {
		return 0, err
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
	if err := tx.flush(ctx); err != nil {
		return nil, err
	}
	return tx.conn.Prepare(ctx, name, sql)
}

// Conn returns the connection.
func (tx *Tx) Conn() *pgx.Conn { return tx.conn }

// claim has the claims and the role go with the next statement.
func (tx *Tx) claim(claims string) {
	tx.later(`SELECT set_config('request.jwt.claims', $1, true), set_config('role', $2, true)`, claims, roleAuthenticated)
	tx.claiming = tx.waiting[len(tx.waiting)-1]
}

// later has a statement go with the next one.
func (tx *Tx) later(sql string, args ...any) {
	tx.waiting = append(tx.waiting, &pgx.QueuedQuery{SQL: sql, Arguments: args})
}

// flush sends what waits.
func (tx *Tx) flush(ctx context.Context) error { return tx.SendBatch(ctx, &pgx.Batch{}).Close() }

func (tx *Tx) commit(ctx context.Context) error {
	if !tx.sent {
		// Nothing was asked of the server.
		tx.closed = true
		return nil
	}
	tag, err := tx.Exec(ctx, "COMMIT")
	tx.closed = true
	if err != nil {
		// It may have committed, or not: a connection in doubt is not used again.
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
	if !tx.sent {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	if _, err := tx.conn.Exec(ctx, "ROLLBACK"); err != nil {
		_ = tx.conn.Close(ctx)
	}
}
