package auth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	sessionv1 "github.com/intime-solutions/intime/gen/go/intime/session/v1"
	"github.com/intime-solutions/intime/gen/go/intime/session/v1/sessionv1connect"
	"github.com/intime-solutions/intime/internal/auth"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/principal"
	"github.com/intime-solutions/intime/internal/rpc"
)

const (
	service  = "/intime.session.v1.SessionService/"
	signIn   = service + "SignInAsDemoPerson"
	refresh  = service + "RefreshSession"
	signOut  = service + "SignOut"
	choices  = service + "GetSignInOptions"
	anna     = "anna@acme.example"
	frontend = "http://localhost:3000"
)

// testBundle is a session service behind the whole chain, as browsers meet it.
type testBundle struct {
	issuer   *auth.LocalIssuer
	verifier *auth.Verifier
	handler  http.Handler
	url      string
	person   uuid.UUID
	inactive atomic.Bool
	now      atomic.Int64
}

func setup(t *testing.T, change ...func(*auth.ServiceConfig)) *testBundle {
	t.Helper()
	b := &testBundle{person: uuid.New()}
	b.now.Store(time.Now().Unix())
	clock := func() time.Time { return time.Unix(b.now.Load(), 0) }
	config := auth.ServiceConfig{
		Environment: "test", PublicURL: "http://localhost:8080", AllowedOrigins: []string{frontend},
		DemoPeople: []auth.DemoPerson{{
			UserID: b.person, Email: anna, FullName: "Anna Berg", Organization: "Acme", Roles: []string{"recruiter", "admin"},
		}},
	}
	for _, f := range change {
		f(&config)
	}
	b.url = config.PublicURL
	var err error
	b.issuer, err = auth.NewLocalIssuer(auth.LocalIssuerConfig{Folder: t.TempDir(), URL: config.PublicURL, Now: clock})
	require.NoError(t, err)
	b.verifier, err = auth.NewVerifier(auth.VerifierConfig{Issuers: []auth.Issuer{b.issuer.Issuer()}, Now: clock})
	require.NoError(t, err)
	load := func(_ context.Context, id uuid.UUID) (principal.Principal, error) {
		if b.inactive.Load() {
			return principal.Principal{}, apierr.New(connect.CodeUnauthenticated, apierr.ReasonAccountInactive, "Not active.")
		}
		return principal.Principal{UserID: id, OrgID: uuid.New()}, nil
	}
	sessions, err := auth.NewService(b.issuer, load, config)
	require.NoError(t, err)
	chain, err := rpc.NewChain(rpc.ChainConfig{Authenticate: auth.NewAuthenticator(b.verifier, load).Authenticate})
	require.NoError(t, err)
	server, err := rpc.New(rpc.Config{Chain: chain, Services: []rpc.Mount{
		rpc.At(sessionv1connect.NewSessionServiceHandler(sessions, chain.HandlerOptions()...)),
	}})
	require.NoError(t, err)
	b.handler = server.Handler()
	return b
}

func (b *testBundle) call(t *testing.T, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, b.url+path, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	b.handler.ServeHTTP(recorder, request)
	return recorder
}

func (b *testBundle) signIn(t *testing.T) *http.Cookie {
	t.Helper()
	answer := b.call(t, signIn, `{"email":"`+anna+`"}`)
	require.Equal(t, http.StatusOK, answer.Code, answer.Body)
	cookies := answer.Result().Cookies()
	require.Len(t, cookies, 1)
	return cookies[0]
}

func read[M proto.Message](t *testing.T, answer *httptest.ResponseRecorder, into M) M {
	t.Helper()
	require.Equal(t, http.StatusOK, answer.Code, answer.Body)
	require.NoError(t, protojson.Unmarshal(answer.Body.Bytes(), into))
	return into
}

func requireReason(t *testing.T, answer *httptest.ResponseRecorder, reason string) {
	t.Helper()
	require.NotEqual(t, http.StatusOK, answer.Code)
	require.Contains(t, answer.Body.String(), `"reason":"`+reason+`"`)
}

func header(c *http.Cookie) string { return c.Name + "=" + c.Value }

func TestService_GetSignInOptions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	response := read(t, b.call(t, choices, `{}`, "Authorization", "Bearer expired"), new(sessionv1.GetSignInOptionsResponse))
	require.Equal(t, "test", response.GetEnvironment())
	require.Len(t, response.GetDemoPeople(), 1)
	require.Equal(t, []string{"admin", "recruiter"}, response.GetDemoPeople()[0].GetRoles())
}

func TestService_SignInAsDemoPerson(t *testing.T) {
	t.Parallel()

	t.Run("OK", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		answer := b.call(t, signIn, `{"email":"ANNA@acme.example"}`)
		token := read(t, answer, new(sessionv1.SignInAsDemoPersonResponse)).GetAccessToken()
		user, err := b.verifier.Verify(t.Context(), token.GetToken())
		require.NoError(t, err)
		require.Equal(t, b.person, user)
		require.Equal(t, b.now.Load()+15*60, token.GetExpiresAt().GetSeconds())
		require.Equal(t, "no-store", answer.Header().Get("Cache-Control"))
		require.NotContains(t, answer.Body.String(), answer.Result().Cookies()[0].Value, "no script sees the session's token")
	})

	t.Run("Cookie", func(t *testing.T) {
		t.Parallel()
		cookie := setup(t).signIn(t)
		require.Equal(t, "intime_session", cookie.Name)
		require.Equal(t, service, cookie.Path)
		require.True(t, cookie.HttpOnly)
		require.False(t, cookie.Secure)
		require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
		require.Equal(t, 12*60*60, cookie.MaxAge)

		cookie = setup(t, func(c *auth.ServiceConfig) { c.PublicURL = "https://intime.example" }).signIn(t)
		require.Equal(t, "__Host-intime_session", cookie.Name)
		require.Equal(t, "/", cookie.Path)
		require.Empty(t, cookie.Domain)
		require.True(t, cookie.HttpOnly)
		require.True(t, cookie.Secure)
		require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	})

	t.Run("Off", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(c *auth.ServiceConfig) { c.DemoPeople = nil })
		requireReason(t, b.call(t, signIn, `{"email":"`+anna+`"}`), auth.ReasonDemoSignInOff)
	})

	t.Run("Nobody", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		requireReason(t, b.call(t, signIn, `{"email":"bert@acme.example"}`), auth.ReasonDemoPersonNotFound)
		requireReason(t, b.call(t, signIn, `{"email":"bert"}`), apierr.ReasonInvalid)
	})

	t.Run("Inactive", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.inactive.Store(true)
		answer := b.call(t, signIn, `{"email":"`+anna+`"}`)
		requireReason(t, answer, apierr.ReasonAccountInactive)
		require.Empty(t, answer.Result().Cookies())
	})
}

func TestService_CrossSite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cookie := header(b.signIn(t))
	for name, test := range map[string]struct {
		headers []string
		allowed bool
	}{
		"the page itself":              {[]string{"Origin", "http://localhost:8080", "Sec-Fetch-Site", "same-origin"}, true},
		"the page, an older browser":   {[]string{"Origin", "http://localhost:8080"}, true},
		"an allowed origin":            {[]string{"Origin", frontend, "Sec-Fetch-Site", "same-site"}, true},
		"an allowed origin, older":     {[]string{"Origin", frontend}, true},
		"no browser":                   {nil, true},
		"another site":                 {[]string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, false},
		"another site, older browser":  {[]string{"Origin", "https://evil.example"}, false},
		"another site without origin":  {[]string{"Sec-Fetch-Site", "cross-site"}, false},
		"another port":                 {[]string{"Origin", "http://localhost:9999", "Sec-Fetch-Site", "same-site"}, false},
		"a page without an origin":     {[]string{"Origin", "null"}, false},
		"an origin that begins alike":  {[]string{"Origin", frontend + ".evil.example"}, false},
		"an origin like the host name": {[]string{"Origin", "http://localhost:8080.evil.example"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for path, body := range map[string]string{signIn: `{"email":"` + anna + `"}`, refresh: `{}`, signOut: `{}`} {
				answer := b.call(t, path, body, append(test.headers, "Cookie", cookie)...)
				if test.allowed {
					require.Equal(t, http.StatusOK, answer.Code, answer.Body)
					continue
				}
				requireReason(t, answer, auth.ReasonCrossSite)
				require.Empty(t, answer.Result().Cookies())
			}
		})
	}
}

func TestService_RefreshSession(t *testing.T) {
	t.Parallel()

	t.Run("OK", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		cookie := b.signIn(t)
		b.now.Add(11 * 60 * 60)
		answer := b.call(t, refresh, `{}`, "Cookie", header(cookie), "Authorization", "Bearer expired")
		token := read(t, answer, new(sessionv1.RefreshSessionResponse)).GetAccessToken().GetToken()
		user, err := b.verifier.Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, b.person, user)
	})

	t.Run("Expired", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		cookie := b.signIn(t)
		b.now.Add(12*60*60 + 30)
		answer := b.call(t, refresh, `{}`, "Cookie", header(cookie))
		require.Equal(t, http.StatusUnauthorized, answer.Code)
		requireReason(t, answer, auth.ReasonSessionExpired)
		require.Equal(t, -1, answer.Result().Cookies()[0].MaxAge, "what is of no use is taken away")
	})

	t.Run("BadCookie", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		cookie := b.signIn(t)
		access, _, err := b.issuer.Token(b.person, time.Hour)
		require.NoError(t, err)
		for _, value := range []string{"", "intime_session=", "intime_session=x", "intime_session=" + access, "other=" + cookie.Value} {
			requireReason(t, b.call(t, refresh, `{}`, "Cookie", value), auth.ReasonSessionExpired)
		}
	})

	t.Run("Inactive", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		cookie := b.signIn(t)
		b.inactive.Store(true)
		requireReason(t, b.call(t, refresh, `{}`, "Cookie", header(cookie)), apierr.ReasonAccountInactive)
	})

	t.Run("NoIssuer", func(t *testing.T) {
		t.Parallel()
		sessions, err := auth.NewService(nil, nil, auth.ServiceConfig{})
		require.NoError(t, err)
		_, handler := sessionv1connect.NewSessionServiceHandler(sessions)
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, refresh, strings.NewReader(`{}`))
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Cookie", "intime_session=x")
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		require.Contains(t, recorder.Body.String(), "Sign in again.")
	})
}

func TestService_SignOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, cookie := range []string{header(b.signIn(t)), ""} {
		answer := b.call(t, signOut, `{}`, "Cookie", cookie)
		require.Equal(t, http.StatusOK, answer.Code)
		taken := answer.Result().Cookies()
		require.Len(t, taken, 1)
		require.Equal(t, "intime_session", taken[0].Name)
		require.Equal(t, service, taken[0].Path, "a cookie is only taken away where it was put")
		require.Equal(t, -1, taken[0].MaxAge)
		require.Empty(t, taken[0].Value)
	}
}

func TestNewService_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := auth.NewService(nil, nil, auth.ServiceConfig{DemoPeople: make([]auth.DemoPerson, 1)})
	require.ErrorContains(t, err, "needs the built-in issuer")
	_, err = auth.NewService(nil, nil, auth.ServiceConfig{AllowedOrigins: []string{"localhost:3000/x"}})
	require.ErrorContains(t, err, "is not an origin")
}
