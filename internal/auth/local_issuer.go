package auth

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
)

const (
	// AccessTokenTTL is how long an access token of a session is valid.
	AccessTokenTTL = 15 * time.Minute
	// SessionTTL is how long a session of the dashboard lasts.
	SessionTTL = 12 * time.Hour
	// LocalAudience is the audience of the built-in issuer's access tokens, the same as Supabase's.
	LocalAudience = "authenticated"

	// sessionAudience is the audience of session tokens: no Issuer accepts it for calls.
	sessionAudience = "intime-session"
)

// LocalIssuerConfig says where the built-in issuer keeps its key and what it calls itself.
type LocalIssuerConfig struct {
	// Folder is where the key is kept; it is made where it does not exist.
	Folder string
	// URL is the server's public address, the issuer's name in its tokens.
	URL string
	// Now tells the time. Default: time.Now.
	Now func() time.Time
}

// LocalIssuer is the built-in issuer of tokens, for whoever has no other. It signs with an ES256 key of its own. It is safe
// for concurrent use.
type LocalIssuer struct {
	url      string
	public   jose.JSONWebKey
	access   jose.Signer
	session  jose.Signer
	sessions *Verifier
	now      func() time.Time
}

// NewLocalIssuer returns the built-in issuer. Its key is made on the first start and kept in the folder; processes that
// start at once end up with the same one.
func NewLocalIssuer(config LocalIssuerConfig) (*LocalIssuer, error) {
	if config.Folder == "" || config.URL == "" {
		return nil, errors.New("the built-in issuer needs a folder for its key and the server's public address")
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	key, err := loadOrCreateKey(config.Folder)
	if err != nil {
		return nil, err
	}
	i := &LocalIssuer{url: strings.TrimRight(config.URL, "/"), now: config.Now}
	if err := i.useKey(key); err != nil {
		return nil, fmt.Errorf("use the built-in issuer's key: %w", err)
	}
	own := i.Issuer()
	own.Audiences = []string{sessionAudience}
	i.sessions, err = NewVerifier(VerifierConfig{Issuers: []Issuer{own}, Now: config.Now})
	return i, err
}

// Issuer returns what a Verifier needs to accept this issuer's access tokens.
func (i *LocalIssuer) Issuer() Issuer {
	keys := i.JWKS()
	return Issuer{URL: i.url, Audiences: []string{LocalAudience}, Keys: &keys}
}

// JWKS returns the public key as a key set.
func (i *LocalIssuer) JWKS() jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{i.public}}
}

// Token returns an access token for the person, and when it expires.
func (i *LocalIssuer) Token(user uuid.UUID, ttl time.Duration) (token string, expires time.Time, err error) {
	return i.sign(i.access, LocalAudience, user, ttl)
}

func (i *LocalIssuer) useKey(key *ecdsa.PrivateKey) error {
	public := jose.JSONWebKey{Key: key.Public(), Algorithm: string(jose.ES256), Use: "sig"}
	id, err := keyID(public)
	if err != nil {
		return err
	}
	public.KeyID = id
	i.public = public
	signing := jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: id}}
	if i.access, err = jose.NewSigner(signing, new(jose.SignerOptions).WithType(typeAccess)); err != nil {
		return err
	}
	i.session, err = jose.NewSigner(signing, new(jose.SignerOptions).WithType(typeSession))
	return err
}

func (i *LocalIssuer) sessionToken(user uuid.UUID) (token string, expires time.Time, err error) {
	return i.sign(i.session, sessionAudience, user, SessionTTL)
}

func (i *LocalIssuer) sign(signer jose.Signer, audience string, user uuid.UUID, ttl time.Duration) (string, time.Time, error) {
	if user == uuid.Nil || ttl < time.Second {
		return "", time.Time{}, errors.New("a token needs a person and a validity of a second or more")
	}
	now := i.now()
	expires := now.Add(ttl).Truncate(time.Second)
	text, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer:   i.url,
		Subject:  user.String(),
		Audience: jwt.Audience{audience},
		Expiry:   jwt.NewNumericDate(expires),
		IssuedAt: jwt.NewNumericDate(now),
		ID:       uuid.NewString(),
	}).Serialize()
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign a token: %w", err)
	}
	return text, expires, nil
}
