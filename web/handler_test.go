package web

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func build() fstest.MapFS {
	return fstest.MapFS{
		".gitkeep":                   {},
		"index.html":                 {Data: []byte(`<script src="/a.js"></script><script>go()</script>home`)},
		"404.html":                   {Data: []byte("nothing here")},
		"admin/events/index.html":    {Data: []byte("<script>one()</script><script>one()</script>\n<script id=\"x\">two()</script>")},
		"admin/events/index.html.br": {Data: []byte("brotli")},
		"admin/events/index.txt":     {Data: []byte("payload")},
		"_next/static/chunks/a.js":   {Data: []byte(strings.Repeat("a()\n", 1000))},
		"_next/static/media/a.woff2": {Data: []byte("font")},
	}
}

func serve(t *testing.T, fsys fs.FS, method, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	h, err := newHandler(fsys)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func hash(script string) string {
	sum := sha256.Sum256([]byte(script))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func TestHandler(t *testing.T) {
	t.Parallel()

	const immutable = "public, max-age=31536000, immutable"
	for _, tt := range []struct {
		name, target             string
		status                   int
		contentType, cache, body string
	}{
		{"Home", "/", 200, "text/html; charset=utf-8", "no-cache", "home"},
		{"Page", "/admin/events/?status=failed", 200, "text/html; charset=utf-8", "no-cache", "two()"},
		{"Payload", "/admin/events/index.txt", 200, "text/plain; charset=utf-8", "no-cache", "payload"},
		{"Script", "/_next/static/chunks/a.js", 200, "text/javascript; charset=utf-8", immutable, "a()"},
		{"Font", "/_next/static/media/a.woff2", 200, "font/woff2", immutable, "font"},
		{"Unknown", "/nowhere/", 404, "text/html; charset=utf-8", "no-cache", "nothing here"},
		{"NoListing", "/_next/static/", 404, "text/html; charset=utf-8", "no-cache", "nothing here"},
		{"NoCompressedFile", "/admin/events/index.html.br", 404, "text/html; charset=utf-8", "no-cache", "nothing here"},
		{"NoHiddenFile", "/.gitkeep", 404, "text/html; charset=utf-8", "no-cache", "nothing here"},
		{"NoWayOut", "/admin/../../handler.go", 404, "text/html; charset=utf-8", "no-cache", "nothing here"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res := serve(t, build(), http.MethodGet, tt.target)
			if res.Code != tt.status {
				t.Errorf("status = %d, want %d", res.Code, tt.status)
			}
			if got := res.Header().Get("Content-Type"); got != tt.contentType {
				t.Errorf("Content-Type = %q, want %q", got, tt.contentType)
			}
			if got := res.Header().Get("Cache-Control"); got != tt.cache {
				t.Errorf("Cache-Control = %q, want %q", got, tt.cache)
			}
			if got := res.Header().Get("X-Content-Type-Options"); got != "nosniff" {
				t.Errorf("X-Content-Type-Options = %q, want nosniff", got)
			}
			if got := res.Body.String(); !strings.Contains(got, tt.body) {
				t.Errorf("body = %q, want it to contain %q", got, tt.body)
			}
		})
	}
}

func TestHandler_RedirectsToFolder(t *testing.T) {
	t.Parallel()
	res := serve(t, build(), http.MethodGet, "/admin/events?status=failed")
	if got, want := res.Header().Get("Location"), "/admin/events/?status=failed"; res.Code != http.StatusPermanentRedirect || got != want {
		t.Errorf("answer = %d to %q, want 308 to %q", res.Code, got, want)
	}
	// A path that begins with two slashes must not become the address of another host.
	res = serve(t, build(), http.MethodGet, "http://here//admin/events")
	if got, want := res.Header().Get("Location"), "/admin/events/"; got != want {
		t.Errorf("Location = %q, want %q", got, want)
	}
}

func TestHandler_ContentSecurityPolicy(t *testing.T) {
	t.Parallel()
	policy := serve(t, build(), http.MethodGet, "/admin/events/").Header().Get("Content-Security-Policy")
	if want := "script-src 'self' " + hash("one()") + " " + hash("two()") + ";"; !strings.Contains(policy, want) {
		t.Errorf("policy = %q, want it to contain %q", policy, want)
	}
	if want := "frame-ancestors 'none'"; !strings.Contains(policy, want) {
		t.Errorf("policy = %q, want it to contain %q", policy, want)
	}
	_, scripts, _ := strings.Cut(policy, "script-src")
	scripts, _, _ = strings.Cut(scripts, ";")
	if strings.Contains(scripts, "unsafe") {
		t.Errorf("%q lets a page run what it was not built with", scripts)
	}
}

func TestHandler_Compresses(t *testing.T) {
	t.Parallel()
	const target = "/_next/static/chunks/a.js"
	res := serve(t, build(), http.MethodGet, target, "Accept-Encoding", "br;q=1.0, gzip;q=0.8")
	if got := res.Header().Get("Content-Encoding"); got != "gzip" {
		t.Fatalf("Content-Encoding = %q, want gzip", got)
	}
	r, err := gzip.NewReader(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("a()\n", 1000); string(got) != want {
		t.Errorf("body has %d bytes, want %d", len(got), len(want))
	}
	if got := serve(t, build(), http.MethodGet, "/admin/events/", "Accept-Encoding", "gzip, br"); got.Body.String() != "brotli" {
		t.Errorf("body = %q, want what was compressed at the build", got.Body.String())
	}
	for _, offer := range []string{"", "zstd", "gzip;q=0", "gzip; q=0.0"} {
		res := serve(t, build(), http.MethodGet, target, "Accept-Encoding", offer)
		if got := res.Header().Get("Content-Encoding"); got != "" {
			t.Errorf("Accept-Encoding %q: Content-Encoding = %q, want none", offer, got)
		}
	}
}

func TestHandler_NotModified(t *testing.T) {
	t.Parallel()
	etag := serve(t, build(), http.MethodGet, "/").Header().Get("ETag")
	if res := serve(t, build(), http.MethodGet, "/", "If-None-Match", etag); res.Code != http.StatusNotModified {
		t.Errorf("status = %d, want 304", res.Code)
	}
}

func TestHandler_RefusesOtherMethods(t *testing.T) {
	t.Parallel()
	if res := serve(t, build(), http.MethodPost, "/"); res.Code != http.StatusMethodNotAllowed {
		t.Errorf("status = %d, want 405", res.Code)
	}
}

func TestHandler_NotBuilt(t *testing.T) {
	t.Parallel()
	res := serve(t, fstest.MapFS{".gitkeep": {}}, http.MethodGet, "/admin/events/")
	if body := res.Body.String(); res.Code != http.StatusServiceUnavailable || !strings.Contains(body, "make build") {
		t.Errorf("answer = %d %q, want 503 that names make build", res.Code, body)
	}
}

// Whether the pages are built or not, what is embedded can be served.
func TestHandler_Embedded(t *testing.T) {
	t.Parallel()
	h, err := Handler()
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if w.Code != http.StatusOK && w.Code != http.StatusServiceUnavailable {
		t.Errorf("status = %d, want 200 or 503", w.Code)
	}
}
