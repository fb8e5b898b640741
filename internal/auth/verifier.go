package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
)

const (
	// MaxTokenBytes is how long a token may be.
	MaxTokenBytes = 8 << 10
	// DefaultLeeway is how far the issuer's clock may be from ours.
	DefaultLeeway = 30 * time.Second
)

// VerifierConfig says whose tokens a Verifier accepts.
type VerifierConfig struct {
	// Issuers are the issuers whose tokens are accepted; at least one.
	Issuers []Issuer
	// Leeway is how far an issuer's clock may be from ours, at most 30 s. Default: 30 s.
	Leeway time.Duration
	// Client fetches key sets. Default: a client of its own that gives up after 5 s and follows no redirect.
	Client *http.Client
	// Now tells the time. Default: time.Now.
	Now func() time.Time
	// Logger hears of key sets that cannot be fetched. Default: nobody.
	Logger *slog.Logger
}

// Verifier verifies bearer tokens. It is safe for concurrent use.
type Verifier struct {
	issuers map[string]*issuer
	leeway  time.Duration
	now     func() time.Time
}

type issuer struct {
	Issuer

	keys keySource
}

// NewVerifier returns a verifier. The error names the setting that is missing or wrong.
func NewVerifier(config VerifierConfig) (*Verifier, error) {
	if len(config.Issuers) == 0 {
		return nil, errors.New("INTIME_AUTH_ISSUER is not set: the server does not start without an issuer of tokens")
	}
	if config.Leeway == 0 {
		config.Leeway = DefaultLeeway
	}
	if config.Leeway < 0 || config.Leeway > DefaultLeeway {
		return nil, fmt.Errorf("the leeway for tokens' times is %s: it must be between 0 and %s", config.Leeway, DefaultLeeway)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	v := &Verifier{issuers: make(map[string]*issuer), leeway: config.Leeway, now: config.Now}
	for _, i := range config.Issuers {
		if err := i.validate(); err != nil {
			return nil, err
		}
		if _, twice := v.issuers[i.URL]; twice {
			return nil, fmt.Errorf("INTIME_AUTH_ISSUER names %s twice", i.URL)
		}
		keys, err := newKeySource(i, config)
		if err != nil {
			return nil, fmt.Errorf("the keys of issuer %s: %w", i.URL, err)
		}
		v.issuers[i.URL] = &issuer{Issuer: i, keys: keys}
	}
	return v, nil
}

// Verify returns the id of the person whom the token was made for. The error is the same for every token that is not
// accepted; its cause, for the log, says what is wrong and quotes nothing of the token.
func (v *Verifier) Verify(ctx context.Context, token string) (uuid.UUID, error) {
	userID, err := v.verify(ctx, token, kindAccess)
	if err != nil {
		return uuid.Nil, Unauthenticated(err)
	}
	return userID, nil
}

func (v *Verifier) verify(ctx context.Context, text string, kind tokenKind) (uuid.UUID, error) {
	token, err := parseToken(text)
	if err != nil {
		return uuid.Nil, err
	}
	if !kind.accepts(token.header.Type) {
		return uuid.Nil, errTokenKind
	}
	// The issuer is not proven yet: it only chooses the keys that must prove it.
	issuer, known := v.issuers[token.claims.Issuer]
	if !known {
		return uuid.Nil, errIssuer
	}
	if err := issuer.verifySignature(ctx, token); err != nil {
		return uuid.Nil, err
	}
	if err := token.claims.check(issuer.Audiences, v.now(), v.leeway); err != nil {
		return uuid.Nil, err
	}
	return token.claims.userID()
}
