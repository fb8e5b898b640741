package rpc

import (
	"context"
	"errors"
	"log/slog"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// logFailure writes the one line that a failed call leaves in the log.
func logFailure(ctx context.Context, logger *slog.Logger, public *apierr.Error, err error) {
	level := failureLevel(public.Code)
	if !logger.Enabled(ctx, level) {
		return
	}
	request := principal.RequestFrom(ctx)
	attributes := []slog.Attr{
		slog.String("procedure", request.Procedure),
		slog.String("code", public.Code.String()),
		slog.String("reason", public.Reason),
		slog.String("request_id", request.ID),
	}
	if p, ok := principal.From(ctx); ok {
		attributes = append(attributes, slog.String("user_id", p.UserID.String()), slog.String("org_id", p.OrgID.String()))
	}
	if cause := causeForLog(err); cause != "" {
		attributes = append(attributes, slog.String("cause", cause))
	}
	if panicked, ok := errors.AsType[*panicError](err); ok {
		attributes = append(attributes, slog.String("stack", string(panicked.stack)))
	}
	logger.LogAttrs(ctx, level, "call failed", attributes...)
}

// failureLevel is high where somebody of ours must look, and low where the caller must.
func failureLevel(code connect.Code) slog.Level {
	switch code {
	case connect.CodeInternal, connect.CodeUnknown, connect.CodeDataLoss:
		return slog.LevelError
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeResourceExhausted, connect.CodePermissionDenied:
		return slog.LevelWarn
	default:
		return slog.LevelInfo
	}
}

// causeForLog is what the log says beyond the reason. Postgres quotes values in what it says about them (class 22) and
// about broken constraints (class 23): there the state and the constraint must do.
func causeForLog(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && len(pg.Code) == 5 && (pg.Code[:2] == "22" || pg.Code[:2] == "23") {
		return "SQLSTATE " + pg.Code + " " + pg.ConstraintName
	}
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		if cause := e.Unwrap(); cause != nil {
			return cause.Error()
		}
		return ""
	}
	return err.Error()
}
