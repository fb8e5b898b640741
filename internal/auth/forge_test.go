package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

const (
	testIssuer   = "https://issuer.example/auth/v1"
	testAudience = "authenticated"
	testSecret   = "a-shared-secret-of-forty-characters-....."
)

var (
	testPerson = uuid.MustParse("0199b1de-0000-7000-8000-000000000001")
	testNow    = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	// Making an RSA key takes a while; one is enough for all tests.
	testRSAKey = sync.OnceValue(func() *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return key
	})
)

type object = map[string]any

// claims returns the claims of a good token, with changes; a nil takes a claim out.
func claims(changes object) object {
	c := object{
		"iss": testIssuer, "aud": testAudience, "sub": testPerson.String(), "role": "authenticated",
		"iat": testNow.Unix(), "exp": testNow.Add(time.Hour).Unix(),
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// forge writes a token by hand, so that it can be as wrong as it likes. Header and claims are objects, or JSON text.
func forge(t *testing.T, key any, header, claims any) string {
	t.Helper()
	input := encode(t, header) + "." + encode(t, claims)
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	var err error
	switch key := key.(type) {
	case nil:
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(input))
		signature = mac.Sum(nil)
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		r, s, signErr := ecdsa.Sign(rand.Reader, key, digest[:])
		err = signErr
		signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(input))
	default:
		t.Fatalf("no way to sign with %T", key)
	}
	require.NoError(t, err)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encode(t *testing.T, part any) string {
	t.Helper()
	text, isText := part.(string)
	if !isText {
		data, err := json.Marshal(part)
		require.NoError(t, err)
		text = string(data)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func newEdKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

func publicKey(key crypto.Signer, id string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), KeyID: id, Use: "sig"}
}

// keyServer publishes a key set that a test can change, and counts how often it is asked.
type keyServer struct {
	*httptest.Server

	fetches atomic.Int32
	answer  atomic.Pointer[func(w http.ResponseWriter)]
}

func newKeyServer(t *testing.T, keys ...jose.JSONWebKey) *keyServer {
	t.Helper()
	s := new(keyServer)
	s.publish(keys...)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.fetches.Add(1)
		(*s.answer.Load())(w)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *keyServer) publish(keys ...jose.JSONWebKey) {
	s.respond(func(w http.ResponseWriter) { _ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: keys}) })
}

func (s *keyServer) respond(answer func(w http.ResponseWriter)) { s.answer.Store(&answer) }

// clock is a time that a test moves.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return testNow.Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

func newTestVerifier(t *testing.T, issuers ...Issuer) *Verifier {
	t.Helper()
	v, err := NewVerifier(VerifierConfig{Issuers: issuers, Now: func() time.Time { return testNow }})
	require.NoError(t, err)
	return v
}

func secretIssuer() Issuer {
	return Issuer{URL: testIssuer, Audiences: []string{testAudience}, Secret: testSecret}
}

func remoteIssuer(s *keyServer) Issuer {
	return Issuer{URL: testIssuer, Audiences: []string{testAudience}, JWKSURL: s.URL}
}
