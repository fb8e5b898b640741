package eventbus

import (
	"context"
	"errors"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

const (
	// MaxDepth is how many events a cascade may have one behind the other after its first.
	MaxDepth = 3
	// MaxPublicationsPerRun is how many events one run of a handler may publish.
	MaxPublicationsPerRun = 100
)

// run is the handler run that a context belongs to. Cascades take their place from it, not from what a caller says.
type run struct {
	eventID       uuid.UUID
	handler       string
	eventType     string
	correlationID uuid.UUID
	depth         int32
	published     int
	refused       error // the first publication that was refused
}

type runKey struct{}

// withRun returns a context for the run. The database learns of it with the claims: what publishes there is held to the same
// limits.
func withRun(ctx context.Context, r *run) context.Context {
	ctx = principal.WithRun(ctx, principal.Run{EventID: r.eventID, Handler: r.handler})
	return context.WithValue(ctx, runKey{}, r)
}

func runFrom(ctx context.Context) *run {
	r, _ := ctx.Value(runKey{}).(*run)
	return r
}

// admit counts a publication of the run, or refuses it. The database would too; but here nothing is lost yet, and the handler
// may still say what it makes of it.
func (r *run) admit(eventType string) error {
	err := r.check(eventType)
	if err != nil && r.refused == nil {
		r.refused = err
	}
	return err
}

func (r *run) check(eventType string) error {
	switch {
	case eventType == r.eventType:
		return apierr.New(connect.CodeFailedPrecondition, ReasonOwnType,
			"A handler of %s may not publish %s.", r.eventType, eventType)
	case r.depth >= MaxDepth:
		return apierr.New(connect.CodeFailedPrecondition, ReasonCascade,
			"A cascade has at most %d events after its first.", MaxDepth)
	case r.published >= MaxPublicationsPerRun:
		return apierr.New(connect.CodeResourceExhausted, ReasonBudget,
			"One run of a handler publishes at most %d events.", MaxPublicationsPerRun)
	}
	r.published++
	return nil
}

// result is how the run ended: a handler that passes over a refusal has failed all the same.
func (r *run) result(handled error) error {
	if handled == nil && r != nil && r.refused != nil {
		return Permanent(r.refused)
	}
	return handled
}

// cascadeRefusal is the error of a publication that the database refused at a limit of cascades, in our words; any other
// error stays as it is.
func cascadeRefusal(err error) error {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	switch pgErr.ConstraintName {
	case "event_cascades_own_type":
		return apierr.New(connect.CodeFailedPrecondition, ReasonOwnType, "%s", pgErr.Message)
	case "event_cascades_depth":
		return apierr.New(connect.CodeFailedPrecondition, ReasonCascade, "%s", pgErr.Message)
	case "event_cascades_run_budget":
		return apierr.New(connect.CodeResourceExhausted, ReasonBudget, "%s", pgErr.Message)
	case "event_cascades_root_budget":
		return apierr.New(connect.CodeResourceExhausted, ReasonCascadeBudget, "%s", pgErr.Message)
	default:
		return err
	}
}

// refusalOf is the reason for which a limit of cascades refused something in the run; empty where that is not why it failed.
func refusalOf(err error) string {
	refused, ok := errors.AsType[*apierr.Error](cascadeRefusal(err))
	if !ok {
		return ""
	}
	switch refused.Reason {
	case ReasonOwnType, ReasonCascade, ReasonBudget, ReasonCascadeBudget:
		return refused.Reason
	}
	return ""
}

// noteRefusal counts and audits that the run was refused at a limit, if it was. What it published in is rolled back; this is
// not. It comes before the books on the handler: who publishes locks the cascade and the handler in that order.
func (a attempt) noteRefusal(ctx context.Context, tx *postgres.Tx, reason string) error {
	if reason == "" {
		return nil
	}
	_, err := tx.Exec(ctx, `SELECT app.note_refusal($1, $2, $3, $4, $5)`, a.OrgID, a.CorrelationID, a.EventID, a.HandlerName, reason)
	return err
}
