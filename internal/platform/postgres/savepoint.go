package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// savepoint is a transaction within a transaction, for libraries that begin their own.
type savepoint struct {
	*Tx

	depth  int
	closed bool
}

func beginSavepoint(ctx context.Context, tx *Tx, depth int) (pgx.Tx, error) {
	if _, err := tx.Exec(ctx, fmt.Sprintf("SAVEPOINT intime_%d", depth)); err != nil {
		return nil, err
	}
	return &savepoint{Tx: tx, depth: depth}, nil
}

func (s *savepoint) Begin(ctx context.Context) (pgx.Tx, error) {
	return beginSavepoint(ctx, s.Tx, s.depth+1)
}

func (s *savepoint) Commit(ctx context.Context) error {
	if s.closed {
		return pgx.ErrTxClosed
	}
	s.closed = true
	_, err := s.Exec(ctx, fmt.Sprintf("RELEASE SAVEPOINT intime_%d", s.depth))
	return err
}

func (s *savepoint) Rollback(ctx context.Context) error {
	if s.closed {
		return pgx.ErrTxClosed
	}
	s.closed = true
	_, err := s.Exec(ctx, fmt.Sprintf("ROLLBACK TO SAVEPOINT intime_%d", s.depth))
	return err
}
