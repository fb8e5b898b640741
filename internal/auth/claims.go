package auth

import (
	"errors"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
)

var (
	errExpiry   = errors.New("the token has no expiry")
	errSubject  = errors.New("the token's subject is not a person's id")
	errAudience = errors.New("the token is made for another audience")
	errExpired  = errors.New("the token has expired")
	errNotYet   = errors.New("the token is not valid yet")
)

// check checks everything that a signature does not prove. The issuer was compared when its keys were chosen.
func (c *tokenClaims) check(audiences []string, now time.Time, leeway time.Duration) error {
	if c.Expiry == nil {
		return errExpiry
	}
	// RFC 7519: on or after the expiry a token is not accepted.
	if !now.Before(c.Expiry.Time().Add(leeway)) {
		return errExpired
	}
	for _, from := range []*jwt.NumericDate{c.NotBefore, c.IssuedAt} {
		if from != nil && now.Add(leeway).Before(from.Time()) {
			return errNotYet
		}
	}
	if !slices.ContainsFunc(audiences, c.Audience.Contains) {
		return errAudience
	}
	return nil
}

// userID returns the subject as a person's id. The zero id is the system's and no person's; other spellings of a UUID
// (braces, urn:uuid:) are refused, so that one person has one subject.
func (c *tokenClaims) userID() (uuid.UUID, error) {
	id, err := uuid.Parse(c.Subject)
	if err != nil || len(c.Subject) != 36 || id == uuid.Nil {
		return uuid.Nil, errSubject
	}
	return id, nil
}
