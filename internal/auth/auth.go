// Package auth says who calls and what he may call: it verifies bearer tokens, looks people up in the database, signs
// people in with the built-in issuer and reads the permission each procedure declares. Enforcing it on calls is package
// rpc's work. Start at Authenticator.
package auth

import (
	"context"
	"errors"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// Loader reads a person as the database knows him now; Sessions.Load is one.
type Loader func(ctx context.Context, userID uuid.UUID) (principal.Principal, error)

// Authenticator turns a bearer token into a principal. It is safe for concurrent use.
type Authenticator struct {
	verifier *Verifier
	load     Loader
}

// NewAuthenticator returns an authenticator.
func NewAuthenticator(verifier *Verifier, load Loader) *Authenticator {
	return &Authenticator{verifier: verifier, load: load}
}

// Authenticate verifies the token and then, only then, reads the person from the database. What is wrong with a token is
// for the log: the answer is the same for every token that is not accepted, and for a person nobody knows.
func (a *Authenticator) Authenticate(ctx context.Context, token string) (principal.Principal, error) {
	userID, err := a.verifier.Verify(ctx, token)
	if err != nil {
		return principal.Principal{}, err
	}
	return a.load(ctx, userID)
}

// ErrNoToken is the cause in the log where a call that needs a token came without one.
var ErrNoToken = errors.New("no bearer token")

// Unauthenticated is the one answer to everybody whose identity is not proven; the cause is for the log.
func Unauthenticated(cause error) *apierr.Error {
	return apierr.New(connect.CodeUnauthenticated, apierr.ReasonUnauthenticated, "Sign in to do this.").Because(cause)
}
