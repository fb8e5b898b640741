package postgres

import (
	"context"
	"fmt"
	"slices"
)

const nestedSavepoint = "intime_nested"

// Nested runs fn in a savepoint of its own: when it returns an error, what it did is undone, its AfterCommit with it, and
// the transaction goes on. It costs nothing where fn asks nothing of the server. An error of a transaction that cannot go on
// is an *UnusableError.
func (tx *Tx) Nested(ctx context.Context, fn func(ctx context.Context) error) error {
	hooks, before := len(tx.afterCommit), len(tx.waiting)
	tx.later("SAVEPOINT " + nestedSavepoint)
	began := tx.waiting[before]
	err := fn(ctx)
	if err != nil {
		tx.afterCommit = tx.afterCommit[:hooks]
	}
	if i := slices.Index(tx.waiting, began); i >= 0 {
		// Nothing was sent.
		tx.waiting = tx.waiting[:i]
		return err
	}
	if err == nil {
		tx.later("RELEASE SAVEPOINT " + nestedSavepoint)
		return nil
	}
	tx.waiting = nil
	if tx.conn.IsClosed() || ctx.Err() != nil {
		return &UnusableError{Err: err}
	}
	for _, undo := range []string{"ROLLBACK TO SAVEPOINT ", "RELEASE SAVEPOINT "} {
		if _, undoErr := tx.conn.Exec(ctx, undo+nestedSavepoint); undoErr != nil {
			return &UnusableError{Err: err}
		}
	}
	return err
}

// UnusableError is an error after which its transaction cannot go on.
type UnusableError struct{ Err error }

// Error says what went wrong.
func (e *UnusableError) Error() string { return fmt.Sprintf("the transaction is lost: %s", e.Err) }

// Unwrap returns what went wrong.
func (e *UnusableError) Unwrap() error { return e.Err }
