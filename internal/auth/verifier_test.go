package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

func TestVerifier_Verify_Accepts(t *testing.T) {
	t.Parallel()
	ec, ed := newECKey(t), newEdKey(t)
	server := newKeyServer(t, publicKey(testRSAKey(), "rsa"), publicKey(ec, "ec"), publicKey(ed, "ed"))
	shared, remote := newTestVerifier(t, secretIssuer()), newTestVerifier(t, remoteIssuer(server))
	alone := newTestVerifier(t, Issuer{
		URL: testIssuer, Audiences: []string{testAudience}, Keys: &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{publicKey(ec, "ec")}},
	})
	hs := object{"alg": "HS256", "typ": "JWT"}
	for name, test := range map[string]struct {
		verifier *Verifier
		token    string
	}{
		"Supabase's HS256":         {shared, forge(t, []byte(testSecret), object{"alg": "HS256", "typ": "JWT", "kid": "any"}, claims(nil))},
		"RS256":                    {remote, forge(t, testRSAKey(), object{"alg": "RS256", "kid": "rsa"}, claims(nil))},
		"ES256":                    {remote, forge(t, ec, object{"alg": "ES256", "kid": "ec"}, claims(nil))},
		"EdDSA":                    {remote, forge(t, ed, object{"alg": "EdDSA", "kid": "ed"}, claims(nil))},
		"the only key, not named":  {alone, forge(t, ec, object{"alg": "ES256"}, claims(nil))},
		"several audiences":        {shared, forge(t, []byte(testSecret), hs, claims(object{"aud": []string{"x", testAudience}}))},
		"an access token's type":   {shared, forge(t, []byte(testSecret), object{"alg": "HS256", "typ": "at+jwt"}, claims(nil))},
		"expired within leeway":    {shared, forge(t, []byte(testSecret), hs, claims(object{"exp": testNow.Unix() - 29}))},
		"issued ahead in leeway":   {shared, forge(t, []byte(testSecret), hs, claims(object{"iat": testNow.Unix() + 29}))},
		"claims that mean nothing": {shared, forge(t, []byte(testSecret), hs, claims(object{"org_id": "x", "Role": "admin"}))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			user, err := test.verifier.Verify(t.Context(), test.token)
			require.NoError(t, err)
			require.Equal(t, testPerson, user)
		})
	}
}

// Every token of the corpus is refused, with the same answer, and without asking the database.
func TestAuthenticator_Authenticate_RefusesCorpus(t *testing.T) {
	t.Parallel()
	ec, stranger := newECKey(t), newECKey(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	encryption := publicKey(stranger, "encryption")
	encryption.Use = "enc"
	pinned := publicKey(testRSAKey(), "pinned")
	pinned.Algorithm = "PS256"
	server := newKeyServer(t, publicKey(testRSAKey(), "rsa"), publicKey(ec, "ec"), publicKey(weak, "weak"),
		publicKey(p384, "p384"), encryption, pinned,
		jose.JSONWebKey{Key: []byte(testSecret), KeyID: "oct", Algorithm: "HS256"})
	remote, shared := remoteIssuer(server), secretIssuer()
	shared.URL += "/shared"
	verifier := newTestVerifier(t, remote, shared)
	authenticator := NewAuthenticator(verifier, func(context.Context, uuid.UUID) (principal.Principal, error) {
		t.Error("the database was asked about a bad token")
		return principal.Principal{}, nil
	})

	der, err := x509.MarshalPKIXPublicKey(testRSAKey().Public())
	require.NoError(t, err)
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	es := object{"alg": "ES256", "kid": "ec", "typ": "JWT"}
	with := func(name string, value any) object {
		return object{"alg": "ES256", "kid": "ec", name: value}
	}
	good := forge(t, ec, es, claims(nil))
	parts := strings.Split(good, ".")
	strangerJWK := publicKey(stranger, "ec")
	second := newTestVerifier(t, remote)
	_, err = second.Verify(t.Context(), good)
	require.NoError(t, err, "what the corpus spoils must be good before")

	corpus := map[string]string{
		"empty":                              "",
		"no token":                           "hello",
		"two parts":                          parts[0] + "." + parts[1],
		"four parts":                         good + ".x",
		"an encrypted token's five parts":    "a.b.c.d.e",
		"spaces":                             " " + good,
		"huge":                               forge(t, ec, es, claims(object{"x": strings.Repeat("x", MaxTokenBytes)})),
		"none":                               forge(t, nil, object{"alg": "none"}, claims(nil)),
		"none with a signature":              forge(t, ec, object{"alg": "none", "kid": "ec"}, claims(nil)),
		"None":                               forge(t, nil, object{"alg": "None"}, claims(nil)) + "eA",
		"no algorithm":                       forge(t, ec, object{"kid": "ec"}, claims(nil)),
		"no signature":                       parts[0] + "." + parts[1] + ".",
		"another token's signature":          parts[0] + "." + parts[1] + "." + signatureOf(forge(t, ec, es, claims(object{"x": 1}))),
		"changed claims":                     parts[0] + "." + encode(t, claims(object{"sub": uuid.NewString()})) + "." + parts[2],
		"changed header":                     encode(t, with("x", 1)) + "." + parts[1] + "." + parts[2],
		"HS256 with the public key as PEM":   forge(t, publicPEM, object{"alg": "HS256", "kid": "rsa"}, claims(nil)),
		"HS256 with the public key as DER":   forge(t, der, object{"alg": "HS256", "kid": "rsa"}, claims(nil)),
		"HS256 with the other issuer's key":  forge(t, []byte(testSecret), object{"alg": "HS256", "kid": "oct"}, claims(nil)),
		"the other issuer with ES256":        forge(t, ec, es, claims(object{"iss": shared.URL})),
		"HS512":                              forge(t, []byte(testSecret), object{"alg": "HS512"}, claims(object{"iss": shared.URL})),
		"another family's key":               forge(t, testRSAKey(), object{"alg": "RS256", "kid": "ec"}, claims(nil)),
		"a key that names another algorithm": forge(t, testRSAKey(), object{"alg": "RS256", "kid": "pinned"}, claims(nil)),
		"an RSA key of 1024 bits":            forge(t, weak, object{"alg": "RS256", "kid": "weak"}, claims(nil)),
		"a key for encryption":               forge(t, stranger, object{"alg": "ES256", "kid": "encryption"}, claims(nil)),
		"an unknown key":                     forge(t, stranger, object{"alg": "ES256", "kid": "unknown"}, claims(nil)),
		"a stranger's key of a known name":   forge(t, stranger, es, claims(nil)),
		"no key named among several":         forge(t, ec, object{"alg": "ES256"}, claims(nil)),
		"a key id that is a path":            forge(t, []byte{}, object{"alg": "HS256", "kid": "../../../../dev/null"}, claims(nil)),
		"a key id that is SQL":               forge(t, stranger, object{"alg": "ES256", "kid": "x' OR '1'='1"}, claims(nil)),
		"a key id that is an object":         forge(t, ec, object{"alg": "ES256", "kid": object{"a": 1}}, claims(nil)),
		"jwk":                                forge(t, stranger, object{"alg": "ES256", "jwk": &strangerJWK}, claims(nil)),
		"jwk beside the right key":           forge(t, ec, with("jwk", &strangerJWK), claims(nil)),
		"jku":                                forge(t, ec, with("jku", "https://evil.example/jwks"), claims(nil)),
		"x5u":                                forge(t, ec, with("x5u", "https://evil.example/cert"), claims(nil)),
		"x5c":                                forge(t, ec, with("x5c", []string{"AAAA"}), claims(nil)),
		"crit":                               forge(t, ec, with("crit", []string{"exp"}), claims(nil)),
		"crit b64":                           forge(t, ec, `{"alg":"ES256","kid":"ec","crit":["b64"],"b64":true}`, claims(nil)),
		"crit that is empty":                 forge(t, ec, with("crit", []string{}), claims(nil)),
		"two algorithms":                     forge(t, ec, `{"alg":"none","alg":"ES256","kid":"ec"}`, claims(nil)),
		"algorithms that differ in case":     forge(t, ec, `{"alg":"ES256","ALG":"none","kid":"ec"}`, claims(nil)),
		"a header that is a list":            forge(t, ec, `["ES256"]`, claims(nil)),
		"a header with something behind":     forge(t, ec, `{"alg":"ES256","kid":"ec"}{}`, claims(nil)),
		"a session's type":                   forge(t, ec, with("typ", typeSession), claims(nil)),
		"an ID token's type":                 forge(t, ec, with("typ", "id_token+jwt"), claims(nil)),
		"claims that are null":               forge(t, ec, es, "null"),
		"claims that are no JSON":            forge(t, ec, es, "{"),
		"two subjects":                       forge(t, ec, es, strings.Replace(claimsText(t), `"sub"`, `"sub":"x","sub"`, 1)),
		"subjects that differ in case":       forge(t, ec, es, claims(object{"Sub": uuid.NewString()})),
		"expiries that differ in case":       forge(t, ec, es, claims(object{"EXP": 1})),
		"no expiry":                          forge(t, ec, es, claims(object{"exp": nil})),
		"expiry null":                        forge(t, ec, es, strings.Replace(claimsText(t), `"exp":`, `"exp":null,"x":`, 1)),
		"expiry as text":                     forge(t, ec, es, claims(object{"exp": "9999999999"})),
		"expiry beyond all time":             forge(t, ec, es, claims(object{"exp": 1e300})),
		"expired":                            forge(t, ec, es, claims(object{"exp": testNow.Unix() - 30})),
		"not valid yet":                      forge(t, ec, es, claims(object{"nbf": testNow.Unix() + 31})),
		"issued in the future":               forge(t, ec, es, claims(object{"iat": testNow.Unix() + 31})),
		"no subject":                         forge(t, ec, es, claims(object{"sub": nil})),
		"a subject that is no id":            forge(t, ec, es, claims(object{"sub": "anna"})),
		"the zero subject":                   forge(t, ec, es, claims(object{"sub": uuid.Nil.String()})),
		"a subject in braces":                forge(t, ec, es, claims(object{"sub": "{" + testPerson.String() + "}"})),
		"a subject as URN":                   forge(t, ec, es, claims(object{"sub": testPerson.URN()})),
		"a subject that is a list":           forge(t, ec, es, claims(object{"sub": []string{testPerson.String()}})),
		"no audience":                        forge(t, ec, es, claims(object{"aud": nil})),
		"another audience":                   forge(t, ec, es, claims(object{"aud": "anon"})),
		"the session's audience":             forge(t, ec, es, claims(object{"aud": sessionAudience})),
		"an audience that is an object":      forge(t, ec, es, claims(object{"aud": object{}})),
		"no issuer":                          forge(t, ec, es, claims(object{"iss": nil})),
		"another issuer":                     forge(t, ec, es, claims(object{"iss": "https://evil.example"})),
		"the issuer with a slash":            forge(t, ec, es, claims(object{"iss": testIssuer + "/"})),
		"the issuer in capitals":             forge(t, ec, es, claims(object{"iss": strings.ToUpper(testIssuer)})),
	}
	var first *apierr.Error
	for name, token := range corpus {
		_, err := authenticator.Authenticate(t.Context(), token)
		var public *apierr.Error
		require.ErrorAs(t, err, &public, name)
		require.Error(t, public.Unwrap(), name)
		if token != "" {
			require.NotContains(t, public.Error(), token, name)
		}
		if first == nil {
			first = public
			require.Equal(t, connect.CodeUnauthenticated, public.Code)
			require.Equal(t, apierr.ReasonUnauthenticated, public.Reason)
		}
		require.Equal(t, first.Because(nil), public.Because(nil), name)
	}
}

func signatureOf(token string) string { return token[strings.LastIndexByte(token, '.')+1:] }

func claimsText(t *testing.T) string {
	t.Helper()
	data, err := json.Marshal(claims(nil))
	require.NoError(t, err)
	return string(data)
}

func TestNewVerifier_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	change := func(f func(*Issuer)) []Issuer {
		i := secretIssuer()
		f(&i)
		return []Issuer{i}
	}
	remote := func(url string) []Issuer {
		return change(func(i *Issuer) { i.Secret, i.JWKSURL = "", url })
	}
	for name, test := range map[string]struct {
		issuers []Issuer
		leeway  time.Duration
		want    string
	}{
		"no issuer at all":         {nil, 0, "INTIME_AUTH_ISSUER is not set"},
		"no issuer":                {change(func(i *Issuer) { i.URL = "" }), 0, "INTIME_AUTH_ISSUER is not set"},
		"an issuer twice":          {[]Issuer{secretIssuer(), secretIssuer()}, 0, "INTIME_AUTH_ISSUER names"},
		"no audience":              {change(func(i *Issuer) { i.Audiences = nil }), 0, "INTIME_AUTH_AUDIENCE is not set"},
		"an empty audience":        {change(func(i *Issuer) { i.Audiences = []string{""} }), 0, "INTIME_AUTH_AUDIENCE is not set"},
		"no key":                   {change(func(i *Issuer) { i.Secret = "" }), 0, "neither INTIME_AUTH_JWKS_URL nor"},
		"both kinds of keys":       {change(func(i *Issuer) { i.JWKSURL = "https://x.example" }), 0, "both INTIME_AUTH_JWKS_URL and"},
		"a short secret":           {change(func(i *Issuer) { i.Secret = testSecret[:31] }), 0, "INTIME_AUTH_JWT_SECRET is too short"},
		"keys over http":           {remote("http://issuer.example/jwks"), 0, "INTIME_AUTH_JWKS_URL must begin with https"},
		"keys from a file":         {remote("file:///etc/passwd"), 0, "INTIME_AUTH_JWKS_URL"},
		"keys with a password":     {remote("https://a:b@issuer.example"), 0, "INTIME_AUTH_JWKS_URL"},
		"a name like the loopback": {remote("http://localhost.evil.example"), 0, "INTIME_AUTH_JWKS_URL must begin with https"},
		"a long leeway":            {[]Issuer{secretIssuer()}, 31 * time.Second, "leeway"},
		"an empty key set": {
			change(func(i *Issuer) { i.Secret, i.Keys = "", &jose.JSONWebKeySet{} }), 0, "no key that can be used",
		},
		"a key set of secrets": {
			change(func(i *Issuer) {
				i.Secret, i.Keys = "", &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: []byte(testSecret)}}}
			}), 0, "no key that can be used",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := NewVerifier(VerifierConfig{Issuers: test.issuers, Leeway: test.leeway})
			require.ErrorContains(t, err, test.want)
		})
	}
	for _, url := range []string{"http://localhost:1/x", "http://127.0.0.1/x", "http://[::1]:2/x", "https://issuer.example/x"} {
		_, err := NewVerifier(VerifierConfig{Issuers: remote(url)})
		require.NoError(t, err, url)
	}
}

func TestAuthenticator_Authenticate_PassesOnWhatTheDatabaseSays(t *testing.T) {
	t.Parallel()
	lost := errors.New("lost")
	load := func(_ context.Context, id uuid.UUID) (principal.Principal, error) {
		require.Equal(t, testPerson, id)
		return principal.Principal{}, lost
	}
	authenticator := NewAuthenticator(newTestVerifier(t, secretIssuer()), load)
	_, err := authenticator.Authenticate(t.Context(), forge(t, []byte(testSecret), object{"alg": "HS256"}, claims(nil)))
	require.ErrorIs(t, err, lost)
}
