package auth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

type remoteBundle struct {
	verifier *Verifier
	server   *keyServer
	clock    *clock
}

func setupRemote(t *testing.T, server *keyServer) *remoteBundle {
	t.Helper()
	b := &remoteBundle{server: server, clock: new(clock)}
	var err error
	b.verifier, err = NewVerifier(VerifierConfig{Issuers: []Issuer{remoteIssuer(server)}, Now: b.clock.now})
	require.NoError(t, err)
	return b
}

func (b *remoteBundle) accepts(t *testing.T, token string) bool {
	t.Helper()
	_, err := b.verifier.Verify(t.Context(), token)
	return err == nil
}

func TestRemoteKeys(t *testing.T) {
	t.Parallel()
	before, after := newECKey(t), newECKey(t)
	old := forge(t, before, object{"alg": "ES256", "kid": "1"}, claims(nil))
	rotated := forge(t, after, object{"alg": "ES256", "kid": "2"}, claims(nil))

	t.Run("Rotation", func(t *testing.T) {
		t.Parallel()
		b := setupRemote(t, newKeyServer(t, publicKey(before, "1")))
		require.True(t, b.accepts(t, old))
		b.server.publish(publicKey(before, "1"), publicKey(after, "2"))
		require.False(t, b.accepts(t, rotated), "within a minute the keys are not fetched again")
		b.clock.advance(time.Minute)
		require.True(t, b.accepts(t, rotated))
		require.True(t, b.accepts(t, old))
		require.EqualValues(t, 2, b.server.fetches.Load())
	})

	t.Run("UnknownKeysFetchOnceAMinute", func(t *testing.T) {
		t.Parallel()
		b := setupRemote(t, newKeyServer(t, publicKey(before, "1")))
		require.True(t, b.accepts(t, old))
		b.clock.advance(time.Minute)
		var calls sync.WaitGroup
		for i := range 50 {
			token := forge(t, after, object{"alg": "ES256", "kid": fmt.Sprint("unknown", i)}, claims(nil))
			calls.Go(func() { require.False(t, b.accepts(t, token)) })
		}
		calls.Wait()
		require.EqualValues(t, 2, b.server.fetches.Load())
	})

	t.Run("WithdrawnKeyEnds", func(t *testing.T) {
		t.Parallel()
		b := setupRemote(t, newKeyServer(t, publicKey(before, "1")))
		require.True(t, b.accepts(t, old))
		b.server.publish(publicKey(after, "2"))
		b.clock.advance(keysMaxAge)
		require.Eventually(t, func() bool { return !b.accepts(t, old) }, 5*time.Second, time.Millisecond)
	})

	// Each would do harm if it were taken: the good answer is in it, but not as it should be.
	good, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{publicKey(after, "2")}})
	require.NoError(t, err)
	elsewhere := newKeyServer(t, publicKey(after, "2"))
	outages := map[string]func(w http.ResponseWriter){
		"500": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write(good)
		},
		"empty":      func(http.ResponseWriter) {},
		"no keys":    func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
		"broken":     func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"keys":[{"kty":"EC","crv":"P-256"}]}`)) },
		"a web page": func(w http.ResponseWriter) { _, _ = w.Write([]byte(`<html>`)) },
		"only secrets": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"1"}]}`))
		},
		"too large": func(w http.ResponseWriter) { _, _ = w.Write([]byte(strings.Repeat(" ", keysMaxBytes) + string(good))) },
		"too many":  func(w http.ResponseWriter) { _, _ = w.Write(manyTimes(good, maxKeys+1)) },
		"redirect": func(w http.ResponseWriter) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(http.StatusFound)
		},
	}
	for name, outage := range outages {
		t.Run("OutageKeepsOldKeys/"+name, func(t *testing.T) {
			t.Parallel()
			b := setupRemote(t, newKeyServer(t, publicKey(before, "1")))
			require.True(t, b.accepts(t, old))
			b.server.respond(outage)
			b.clock.advance(time.Minute)
			require.False(t, b.accepts(t, rotated))
			require.EqualValues(t, 2, b.server.fetches.Load())
			require.True(t, b.accepts(t, old))
		})
		t.Run("OutageAtStartHeals/"+name, func(t *testing.T) {
			t.Parallel()
			b := setupRemote(t, newKeyServer(t))
			b.server.respond(outage)
			require.False(t, b.accepts(t, old))
			require.False(t, b.accepts(t, old))
			require.EqualValues(t, 1, b.server.fetches.Load())
			b.server.publish(publicKey(before, "1"))
			b.clock.advance(keysRetryInterval)
			require.True(t, b.accepts(t, old))
		})
	}

	t.Run("ServerGone", func(t *testing.T) {
		t.Parallel()
		b := setupRemote(t, newKeyServer(t, publicKey(before, "1")))
		require.True(t, b.accepts(t, old))
		b.server.Close()
		b.clock.advance(time.Minute)
		require.False(t, b.accepts(t, rotated))
		require.True(t, b.accepts(t, old))
	})
}

// manyTimes repeats the key of a set that has one.
func manyTimes(set []byte, times int) []byte {
	key := strings.TrimSuffix(strings.TrimPrefix(string(set), `{"keys":[`), `]}`)
	return []byte(`{"keys":[` + strings.Repeat(key+",", times-1) + key + `]}`)
}
