package rpc

import (
	"context"
	"errors"
	"time"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"

	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// retrySoon is the advice where trying again in a moment may help.
const retrySoon = time.Second

// publicError decides what a caller gets to know of an error. Only an *apierr.Error speaks for itself; of everything else
// the kind is told and the text is not.
func publicError(ctx context.Context, err error) *apierr.Error {
	var (
		public *apierr.Error
		broken *protovalidate.ValidationError
		decode *decodeError
		theirs *connect.Error
	)
	switch {
	case errors.As(err, &public):
		return public
	case errors.As(err, &broken):
		return apierr.Invalid(violationsOf(broken, nil)...)
	case errors.As(err, &decode):
		return decode.public()
	case errors.As(err, &theirs):
		return connectError(theirs.Code(), theirs.Message())
	default:
		return databaseError(ctx, err)
	}
}

func databaseError(ctx context.Context, err error) *apierr.Error {
	kind, _ := postgres.KindOf(err)
	// Postgres says the same of a query that took too long and of one that was cancelled because the caller hung up.
	if kind == postgres.KindTimeout && errors.Is(ctx.Err(), context.Canceled) {
		kind = postgres.KindCanceled
	}
	switch kind {
	case postgres.KindUnique:
		return apierr.New(connect.CodeAlreadyExists, apierr.ReasonAlreadyExists, "Something of that name or key exists already.")
	case postgres.KindForeignKey:
		return apierr.New(connect.CodeInvalidArgument, apierr.ReasonReferenceNotFound, "The request names something that does not exist.")
	case postgres.KindCheck:
		return apierr.New(connect.CodeInvalidArgument, apierr.ReasonRuleBroken, "A value in the request is not accepted.")
	case postgres.KindDenied:
		return apierr.New(connect.CodePermissionDenied, apierr.ReasonPermissionDenied, "You may not do this.")
	case postgres.KindConflict:
		return apierr.New(connect.CodeAborted, apierr.ReasonConflict,
			"Somebody changed the same thing at the same moment. Try again.").After(retrySoon)
	case postgres.KindTimeout:
		return deadlineExceeded()
	case postgres.KindUnavailable:
		return apierr.New(connect.CodeUnavailable, apierr.ReasonUnavailable,
			"The database cannot be reached. Try again in a moment.").After(retrySoon)
	case postgres.KindCanceled:
		return canceled()
	default:
		return internalError()
	}
}

// connectError is for errors that connect itself makes, of which the text may name Go types: how it reads requests is
// nobody's business, what is wrong with them is.
func connectError(code connect.Code, text string) *apierr.Error {
	if decode, ok := parseDecodeError(text); ok {
		return decode.public()
	}
	switch code {
	case connect.CodeInvalidArgument, connect.CodeOutOfRange, connect.CodeFailedPrecondition:
		return apierr.New(connect.CodeInvalidArgument, apierr.ReasonMalformed, "This request cannot be read.")
	case connect.CodeResourceExhausted:
		return tooLarge()
	case connect.CodeUnimplemented:
		return apierr.New(connect.CodeUnimplemented, apierr.ReasonUnknownProcedure,
			"There is no such procedure, or it does not take requests of this form.")
	case connect.CodeNotFound:
		return apierr.New(connect.CodeNotFound, apierr.ReasonUnknownProcedure, "There is no such service.")
	case connect.CodeCanceled:
		return canceled()
	case connect.CodeDeadlineExceeded:
		return deadlineExceeded()
	default:
		return internalError()
	}
}

func tooLarge() *apierr.Error {
	return apierr.New(connect.CodeResourceExhausted, apierr.ReasonTooLarge, "The request is larger than this server takes.")
}

func canceled() *apierr.Error {
	return apierr.New(connect.CodeCanceled, apierr.ReasonCanceled, "The call was cancelled.")
}

func deadlineExceeded() *apierr.Error {
	return apierr.New(connect.CodeDeadlineExceeded, apierr.ReasonDeadline, "This took longer than it may.")
}

func internalError() *apierr.Error {
	return apierr.New(connect.CodeInternal, apierr.ReasonInternal, "Something went wrong on our side.")
}

func unknownProcedure() *apierr.Error {
	return apierr.New(connect.CodeUnimplemented, apierr.ReasonUnknownProcedure, "There is no such procedure.")
}
