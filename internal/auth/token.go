package auth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	jose "github.com/go-jose/go-jose/v4"
	// Its decoder refuses a name that occurs twice and does not mix up names that differ in case, unlike encoding/json.
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"
)

// tokenKind tells tokens apart that the same issuer signs, by their typ header: one kind never passes for another.
type tokenKind int

const (
	kindAccess  tokenKind = iota // bearer tokens
	kindSession                  // the tokens in the dashboard's cookie
)

const (
	typeAccess  = "at+jwt"
	typeSession = "intime-session+jwt"
)

func (k tokenKind) accepts(typ string) bool {
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	if k == kindSession {
		return typ == typeSession
	}
	// Other issuers write JWT, or nothing.
	return typ == typeAccess || typ == "jwt" || typ == ""
}

var (
	errTokenSize   = errors.New("the token is empty or too long")
	errTokenForm   = errors.New("the token is not a signed JWT in compact form")
	errTokenHeader = errors.New("the token's header cannot be read")
	errTokenClaims = errors.New("the token's claims cannot be read")
	errTokenKind   = errors.New("the token is of another kind")
	errCritical    = errors.New("the token's header demands an extension (crit or b64)")
	errAlgorithm   = errors.New("the token's algorithm is not one that its issuer uses")
	errSignature   = errors.New("the token's signature is wrong")
	errIssuer      = errors.New("the token's issuer is not one that is accepted")
	errUnknownKey  = errors.New("the token's key is not one of its issuer's")
)

// token is a parsed token. Until its signature is verified nothing in it is to be believed.
type token struct {
	header tokenHeader
	claims tokenClaims
	signed *jose.JSONWebSignature
}

// tokenHeader is what is read of a header. Keys that a header brings along (jwk, jku, x5u, x5c) are not even looked at.
type tokenHeader struct {
	Algorithm jose.SignatureAlgorithm `json:"alg"`
	KeyID     string                  `json:"kid"`
	Type      string                  `json:"typ"`
}

type tokenClaims struct {
	jwt.Claims
}

func parseToken(text string) (*token, error) {
	if text == "" || len(text) > MaxTokenBytes {
		return nil, errTokenSize
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 || slices.Contains(parts, "") {
		return nil, errTokenForm
	}
	var t token
	if err := t.header.parse(parts[0]); err != nil {
		return nil, err
	}
	if err := t.claims.parse(parts[1]); err != nil {
		return nil, err
	}
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.HS256, jose.RS256, jose.ES256, jose.EdDSA})
	if err != nil {
		if _, ok := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); ok {
			return nil, errAlgorithm
		}
		return nil, errTokenForm
	}
	t.signed = signed
	return &t, nil
}

func (h *tokenHeader) parse(part string) error {
	data, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return errTokenForm
	}
	var names map[string]json.RawMessage
	if json.Unmarshal(data, &names) != nil || json.Unmarshal(data, h) != nil {
		return errTokenHeader
	}
	for name := range names {
		switch strings.ToLower(name) {
		case "crit", "b64":
			return errCritical
		case "jwk", "jku", "x5u", "x5c":
			return fmt.Errorf("the token's header brings a key of its own (%s)", strings.ToLower(name))
		case "alg", "kid", "typ":
			if name != strings.ToLower(name) {
				return errTokenHeader
			}
		}
	}
	return nil
}

func (c *tokenClaims) parse(part string) error {
	data, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return errTokenForm
	}
	var names map[string]json.RawMessage
	if json.Unmarshal(data, &names) != nil || json.Unmarshal(data, &c.Claims) != nil {
		return errTokenClaims
	}
	// "SUB" beside "sub" is nobody's honest token: another reader may take the other one.
	for name := range names {
		switch lower := strings.ToLower(name); lower {
		case "iss", "sub", "aud", "exp", "nbf", "iat":
			if name != lower {
				return errTokenClaims
			}
		}
	}
	return nil
}
