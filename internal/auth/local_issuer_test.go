package auth

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

const testURL = "http://localhost:8080"

func newTestLocalIssuer(t *testing.T, folder, url string) *LocalIssuer {
	t.Helper()
	i, err := NewLocalIssuer(LocalIssuerConfig{Folder: folder, URL: url, Now: func() time.Time { return testNow }})
	require.NoError(t, err)
	return i
}

func TestLocalIssuer_Token(t *testing.T) {
	t.Parallel()
	issuer := newTestLocalIssuer(t, t.TempDir(), testURL+"/")
	both := newTestVerifier(t, issuer.Issuer(), secretIssuer())

	token, expires, err := issuer.Token(testPerson, AccessTokenTTL)
	require.NoError(t, err)
	require.Equal(t, testNow.Add(15*time.Minute), expires)
	user, err := both.Verify(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, testPerson, user)

	foreign := forge(t, []byte(testSecret), object{"alg": "HS256"}, claims(nil))
	_, err = both.Verify(t.Context(), foreign)
	require.NoError(t, err, "the other issuer beside it")

	_, _, err = issuer.Token(uuid.Nil, time.Hour)
	require.Error(t, err, "the zero id is the system's")
	_, _, err = issuer.Token(testPerson, 0)
	require.Error(t, err)
}

func TestLocalIssuer_KindsDoNotMix(t *testing.T) {
	t.Parallel()
	issuer := newTestLocalIssuer(t, t.TempDir(), testURL)
	verifier := newTestVerifier(t, issuer.Issuer())
	access, _, err := issuer.Token(testPerson, time.Hour)
	require.NoError(t, err)
	session, expires, err := issuer.sessionToken(testPerson)
	require.NoError(t, err)
	require.Equal(t, testNow.Add(12*time.Hour), expires)

	_, err = issuer.sessions.verify(t.Context(), session, kindSession)
	require.NoError(t, err)
	_, err = verifier.Verify(t.Context(), session)
	require.Error(t, err, "a session token does not call")
	_, err = issuer.sessions.verify(t.Context(), access, kindSession)
	require.Error(t, err, "an access token is no session")

	// Neither the type nor the audience alone is what keeps them apart.
	crossed, _, err := issuer.sign(issuer.session, LocalAudience, testPerson, time.Hour)
	require.NoError(t, err)
	_, err = verifier.Verify(t.Context(), crossed)
	require.Error(t, err)
	_, err = issuer.sessions.verify(t.Context(), crossed, kindSession)
	require.Error(t, err)
	crossed, _, err = issuer.sign(issuer.access, sessionAudience, testPerson, time.Hour)
	require.NoError(t, err)
	_, err = verifier.Verify(t.Context(), crossed)
	require.Error(t, err)
	_, err = issuer.sessions.verify(t.Context(), crossed, kindSession)
	require.Error(t, err)
}

func TestNewLocalIssuer(t *testing.T) {
	t.Parallel()

	t.Run("StartedAtOnce", func(t *testing.T) {
		t.Parallel()
		folder := filepath.Join(t.TempDir(), "new", "folder")
		ids := make([]string, 16)
		var starts sync.WaitGroup
		begin := make(chan struct{})
		for i := range ids {
			starts.Go(func() {
				<-begin
				issuer, err := NewLocalIssuer(LocalIssuerConfig{Folder: folder, URL: testURL})
				if err == nil {
					ids[i] = issuer.public.KeyID
				}
			})
		}
		close(begin)
		starts.Wait()
		for _, id := range ids {
			require.NotEmpty(t, id)
			require.Equal(t, ids[0], id)
		}
		files, err := os.ReadDir(folder)
		require.NoError(t, err)
		require.Len(t, files, 1, "nothing is left over")
	})

	t.Run("KeepsItsKey", func(t *testing.T) {
		t.Parallel()
		folder := t.TempDir()
		token, _, err := newTestLocalIssuer(t, folder, testURL).Token(testPerson, time.Hour)
		require.NoError(t, err)
		again := newTestLocalIssuer(t, folder, testURL)
		_, err = newTestVerifier(t, again.Issuer()).Verify(t.Context(), token)
		require.NoError(t, err)
	})

	t.Run("KeyFile", func(t *testing.T) {
		t.Parallel()
		folder := t.TempDir()
		newTestLocalIssuer(t, folder, testURL)
		path := filepath.Join(folder, keyFile)
		if runtime.GOOS != "windows" {
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
			require.NoError(t, os.Chmod(path, 0o644))
			_, err = NewLocalIssuer(LocalIssuerConfig{Folder: folder, URL: testURL})
			require.ErrorContains(t, err, "chmod 600")
			require.NoError(t, os.Chmod(path, 0o600))
		}
		for _, damage := range []string{"", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
			require.NoError(t, os.WriteFile(path, []byte(damage), 0o600))
			_, err := NewLocalIssuer(LocalIssuerConfig{Folder: folder, URL: testURL})
			require.ErrorContains(t, err, "is damaged")
		}
	})

	t.Run("NeedsFolderAndURL", func(t *testing.T) {
		t.Parallel()
		_, err := NewLocalIssuer(LocalIssuerConfig{Folder: t.TempDir()})
		require.Error(t, err)
		_, err = NewLocalIssuer(LocalIssuerConfig{URL: testURL})
		require.Error(t, err)
	})
}

func TestLocalIssuer_Handler(t *testing.T) {
	t.Parallel()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	issuer := newTestLocalIssuer(t, t.TempDir(), server.URL)
	handler = issuer.Handler()

	var document map[string]any
	getJSON(t, server.URL+"/.well-known/openid-configuration", &document)
	require.Equal(t, server.URL, document["issuer"])

	// Another server that knows only the address accepts the tokens, and sees no private key.
	jwksURL, _ := document["jwks_uri"].(string)
	var set jose.JSONWebKeySet
	getJSON(t, jwksURL, &set)
	require.Len(t, set.Keys, 1)
	require.True(t, set.Keys[0].IsPublic())

	verifier := newTestVerifier(t, Issuer{URL: server.URL, Audiences: []string{LocalAudience}, JWKSURL: jwksURL})
	token, _, err := issuer.Token(testPerson, time.Hour)
	require.NoError(t, err)
	_, err = verifier.Verify(t.Context(), token)
	require.NoError(t, err)
}

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.NoError(t, json.NewDecoder(response.Body).Decode(into))
}
