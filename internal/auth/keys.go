package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	jose "github.com/go-jose/go-jose/v4"
)

const (
	minRSABits = 2048
	maxKeys    = 100
)

// keySource finds the keys that may verify a token: those of its key id, or, for a token that names none, the only key.
type keySource interface {
	find(ctx context.Context, keyID string) []jose.JSONWebKey
}

func newKeySource(i Issuer, config VerifierConfig) (keySource, error) {
	switch {
	case i.Secret != "":
		return sharedSecret(i.Secret), nil
	case i.Keys != nil:
		return newStaticKeys(*i.Keys)
	default:
		return newRemoteKeys(i.JWKSURL, config), nil
	}
}

// verifySignature verifies the token with this issuer's keys by this issuer's algorithms, and nothing else.
func (i *issuer) verifySignature(ctx context.Context, t *token) error {
	if !slices.Contains(i.algorithms(), t.header.Algorithm) {
		return errAlgorithm
	}
	keys := i.keys.find(ctx, t.header.KeyID)
	if len(keys) == 0 {
		return errUnknownKey
	}
	for _, key := range keys {
		if !fits(key, t.header.Algorithm) {
			continue
		}
		if _, err := t.signed.Verify(key.Key); err == nil {
			return nil
		}
	}
	return errSignature
}

// fits says whether the key is of the algorithm's kind. A key that names its algorithm is used with no other.
func fits(key jose.JSONWebKey, algorithm jose.SignatureAlgorithm) bool {
	if key.Algorithm != "" && key.Algorithm != string(algorithm) {
		return false
	}
	switch k := key.Key.(type) {
	case []byte:
		return algorithm == jose.HS256
	case *rsa.PublicKey:
		return algorithm == jose.RS256
	case *ecdsa.PublicKey:
		return algorithm == jose.ES256 && k.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return algorithm == jose.EdDSA
	default:
		return false
	}
}

type sharedSecret string

// The secret is one key; whatever key id a token names, it is tried with it.
func (s sharedSecret) find(context.Context, string) []jose.JSONWebKey {
	return []jose.JSONWebKey{{Key: []byte(s)}}
}

type staticKeys []jose.JSONWebKey

func newStaticKeys(set jose.JSONWebKeySet) (staticKeys, error) {
	keys := slices.DeleteFunc(slices.Clone(set.Keys), func(k jose.JSONWebKey) bool { return !usable(k) })
	if len(keys) == 0 {
		return nil, errNoKeys
	}
	return keys, nil
}

func (s staticKeys) find(_ context.Context, keyID string) []jose.JSONWebKey {
	if keyID == "" {
		if len(s) == 1 {
			return s
		}
		return nil
	}
	var found []jose.JSONWebKey
	for _, key := range s {
		if key.KeyID == keyID {
			found = append(found, key)
		}
	}
	return found
}

var errNoKeys = errors.New("the key set has no key that can be used")

// parseKeys reads a JWKS. Keys of kinds that are not used here are left out, as RFC 7517 has it, symmetric and private ones
// above all; a set without a usable key is an error.
func parseKeys(data []byte) (staticKeys, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the key set has %d keys, more than the %d that are taken", len(set.Keys), maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) == nil {
			keys = append(keys, key)
		}
	}
	return newStaticKeys(jose.JSONWebKeySet{Keys: keys})
}

func usable(key jose.JSONWebKey) bool {
	if key.Use != "" && key.Use != "sig" || !key.Valid() || !key.IsPublic() {
		return false
	}
	if k, isRSA := key.Key.(*rsa.PublicKey); isRSA && k.N.BitLen() < minRSABits {
		return false
	}
	return fits(key, jose.RS256) || fits(key, jose.ES256) || fits(key, jose.EdDSA)
}
