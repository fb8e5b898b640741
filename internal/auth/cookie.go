package auth

import (
	"net/http"
	"strings"
	"time"
)

const (
	cookieName = "intime_session"
	// A name with this prefix is only taken by browsers from the host itself, over https, for all its paths.
	securePrefix = "__Host-"
	// Without the prefix the cookie goes to the one service that reads it.
	cookiePath = "/intime.session.v1.SessionService/"
)

// cookieJar reads and writes the session cookie, which no script can read and no other site makes a browser send.
type cookieJar struct {
	secure bool
}

func newCookieJar(publicURL string) cookieJar {
	return cookieJar{secure: strings.HasPrefix(publicURL, "https://")}
}

func (j cookieJar) name() string {
	if j.secure {
		return securePrefix + cookieName
	}
	return cookieName
}

func (j cookieJar) read(header http.Header) string {
	cookie, err := (&http.Request{Header: header}).Cookie(j.name())
	if err != nil {
		return ""
	}
	return cookie.Value
}

func (j cookieJar) write(header http.Header, token string, lifetime time.Duration) {
	j.set(header, token, int(lifetime/time.Second))
}

func (j cookieJar) clear(header http.Header) { j.set(header, "", -1) }

func (j cookieJar) set(header http.Header, value string, maxAge int) {
	path := cookiePath
	if j.secure {
		path = "/"
	}
	cookie := http.Cookie{ //nolint:gosec // Secure where there is https; without it a browser would drop the cookie.
		Name: j.name(), Value: value, Path: path, MaxAge: maxAge,
		HttpOnly: true, Secure: j.secure, SameSite: http.SameSiteStrictMode,
	}
	header.Add("Set-Cookie", cookie.String())
}
