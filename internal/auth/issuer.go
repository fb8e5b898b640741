package auth

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"

	jose "github.com/go-jose/go-jose/v4"
)

// minSecretBytes is the least length of a shared secret: HS256 is as strong as its key, up to 32 bytes.
const minSecretBytes = 32

// Issuer is one issuer whose tokens are accepted. Its keys come from exactly one place: JWKSURL, Secret or Keys; that
// fixes the family of algorithms too, so that a public key can never be taken for a shared secret.
type Issuer struct {
	// URL is what the iss claim must be, to the letter. INTIME_AUTH_ISSUER.
	URL string
	// Audiences are the accepted audiences: the aud claim must name one of them. INTIME_AUTH_AUDIENCE.
	Audiences []string
	// JWKSURL is where the issuer publishes its keys (RS256, ES256, EdDSA); https, or http on this machine.
	// INTIME_AUTH_JWKS_URL.
	JWKSURL string
	// Secret is the key shared with the issuer (HS256), at least 32 bytes. INTIME_AUTH_JWT_SECRET.
	Secret string
	// Keys are keys known beforehand: the built-in issuer's.
	Keys *jose.JSONWebKeySet
}

func (i Issuer) validate() error {
	if i.URL == "" {
		return errors.New("INTIME_AUTH_ISSUER is not set: it names the issuer whose tokens are accepted")
	}
	if len(i.Audiences) == 0 || slices.Contains(i.Audiences, "") {
		return errors.New("INTIME_AUTH_AUDIENCE is not set: it names the audience that tokens must be made for")
	}
	sources := 0
	for _, given := range []bool{i.JWKSURL != "", i.Secret != "", i.Keys != nil} {
		if given {
			sources++
		}
	}
	switch {
	case sources == 0:
		return errors.New("neither INTIME_AUTH_JWKS_URL nor INTIME_AUTH_JWT_SECRET is set: one of them says how tokens are verified")
	case sources > 1:
		return errors.New("both INTIME_AUTH_JWKS_URL and INTIME_AUTH_JWT_SECRET are set: an issuer signs with one kind of key, " +
			"so set one of them")
	case i.Secret != "" && len(i.Secret) < minSecretBytes:
		return fmt.Errorf("INTIME_AUTH_JWT_SECRET is too short: it needs at least %d bytes", minSecretBytes)
	case i.JWKSURL != "":
		return validateJWKSURL(i.JWKSURL)
	}
	return nil
}

func (i Issuer) algorithms() []jose.SignatureAlgorithm {
	if i.Secret != "" {
		return []jose.SignatureAlgorithm{jose.HS256}
	}
	return []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA}
}

func validateJWKSURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("INTIME_AUTH_JWKS_URL is not a plain web address")
	}
	// Whoever can change the keys on their way here can sign in as anybody.
	if u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()) {
		return nil
	}
	return errors.New("INTIME_AUTH_JWKS_URL must begin with https:// (http:// is accepted for this machine alone)")
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
