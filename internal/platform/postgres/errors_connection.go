package postgres

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrConnectionLost is in the error of a transaction whose connection to the database broke while it ran.
var ErrConnectionLost = errors.New("the connection to the database was lost")

// Interrupted says whether the database is why a transaction failed, and not what was done in it: a deadlock, a lock not to
// be had, a server that went away. Another server that cannot be reached is no such thing, although its error looks alike.
func Interrupted(err error) bool {
	kind, _ := KindOf(err)
	if kind != KindUnavailable {
		return kind == KindConflict
	}
	_, answered := errors.AsType[*pgconn.PgError](err)
	_, unreachable := errors.AsType[*pgconn.ConnectError](err)
	return answered || unreachable || errors.Is(err, ErrConnectionLost)
}

// blame adds that the connection is gone to an error, where it is.
func (tx *Tx) blame(err error) error {
	if tx.conn.IsClosed() {
		return fmt.Errorf("%w: %w", ErrConnectionLost, err)
	}
	return err
}

// isBrokenConnection recognises what is left of a connection whose server went away.
func isBrokenConnection(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EPIPE)
}

// connectError is a failed connection in one sentence; pgx itself lists every attempt.
type connectError struct {
	sentence string
	cause    error
}

func (e *connectError) Error() string { return e.sentence }
func (e *connectError) Unwrap() error { return e.cause }

// describeConnect says who did not let us in, and why.
func describeConnect(err error) error {
	failed, ok := errors.AsType[*pgconn.ConnectError](err)
	if !ok {
		return fmt.Errorf("connect to the database: %w", err)
	}
	address := net.JoinHostPort(failed.Config.Host, strconv.Itoa(int(failed.Config.Port)))
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return &connectError{fmt.Sprintf("Postgres at %s does not let %s in: %s (SQLSTATE %s)",
			address, failed.Config.User, refused.Message, refused.Code), err}
	}
	reason := err
	if op, ok := errors.AsType[*net.OpError](err); ok {
		reason = op.Err
	}
	return &connectError{fmt.Sprintf("no Postgres answers at %s: %s", address, reason), err}
}
