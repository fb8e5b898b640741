package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
)

// Kind is what went wrong in the database, as far as somebody above can act on it.
type Kind int

// The kinds of errors.
const (
	KindOther       Kind = iota
	KindUnique           // a unique constraint
	KindForeignKey       // a reference to what does not exist
	KindCheck            // a check, a length, a NOT NULL, or a value out of its range
	KindDenied           // row level security, or a missing privilege
	KindConflict         // a deadlock, a serialization failure or a lock not to be had: trying again helps
	KindTimeout          // the statement or the transaction took too long
	KindUnavailable      // the server is not reachable, is starting or stopping, or has no connection left
	KindCanceled         // the caller hung up
)

// stateCanceled is what Postgres says of a query that was cancelled, whoever did it: the statement's timeout, or the caller
// whose context ended.
const stateCanceled = "57014"

// KindOf returns the kind of a database error and the constraint's name where one was broken.
func KindOf(err error) (kind Kind, constraint string) {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		if pgErr.Code == stateCanceled && errors.Is(err, context.Canceled) {
			return KindCanceled, ""
		}
		return kindOfSQLState(pgErr.Code), pgErr.ConstraintName
	}
	var connectErr *pgconn.ConnectError
	var netErr net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return KindTimeout, ""
	case errors.Is(err, context.Canceled):
		return KindCanceled, ""
	case errors.As(err, &connectErr), errors.As(err, &netErr), pgconn.SafeToRetry(err), isBrokenConnection(err),
		errors.Is(err, ErrConnectionLost):
		return KindUnavailable, ""
	}
	return KindOther, ""
}

func kindOfSQLState(code string) Kind {
	switch code {
	case "23505":
		return KindUnique
	case "23503":
		return KindForeignKey
	case "23514", "23502", "22001", "22003", "22007", "22008", "22023", "22P02", "22P05", "22021":
		return KindCheck
	case "42501":
		return KindDenied
	case "40001", "40P01", "55P03":
		return KindConflict
	case stateCanceled, "25P03", "25P04":
		return KindTimeout
	case "57P01", "57P02", "57P03", "53300", "53100", "53200", "53400":
		return KindUnavailable
	}
	if len(code) == 5 && code[:2] == "08" {
		return KindUnavailable
	}
	return KindOther
}

// ended adds the reason to an error that a query was cancelled, where it is that the caller's context ended: his deadline
// passed, or he hung up.
func ended(ctx context.Context, err error) error {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pgErr.Code != stateCanceled || ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("%w: %w", ctx.Err(), err)
}
