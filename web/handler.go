package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"
)

// brotli is what the names of files end with that were compressed when the pages were built.
const brotli = ".br"

const notBuilt = "The dashboard is not built yet. Build it and this program with:\n\n    make build\n"

// handler serves the files of one build from memory.
type handler struct {
	files    map[string]*file // by path, without the leading slash
	notFound *file
}

// newHandler reads the files of a build once: what they are, how long they keep, and which scripts their pages may run.
func newHandler(fsys fs.FS) (http.Handler, error) {
	h := &handler{files: make(map[string]*file)}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		body, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		h.files[name] = newFile(name, body)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the dashboard's pages: %w", err)
	}
	for name, f := range h.files {
		if original := h.files[strings.TrimSuffix(name, brotli)]; original != f {
			if original != nil {
				original.brotli = f.body
			}
			delete(h.files, name)
		}
	}
	if h.files["index.html"] == nil {
		return http.HandlerFunc(serveNotBuilt), nil
	}
	if h.notFound = h.files["404.html"]; h.notFound == nil {
		return nil, errors.New("read the dashboard's pages: there is no 404.html")
	}
	return h, nil
}

// ServeHTTP serves a file, a folder's index.html, or the page that says that there is nothing.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setSecurityHeaders(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD are answered here.", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if strings.HasSuffix(r.URL.Path, "/") {
		name = path.Join(name, "index.html")
	}
	if f := h.files[name]; f != nil {
		f.serve(w, r)
		return
	}
	if h.files[path.Join(name, "index.html")] != nil {
		target := url.URL{Path: "/" + name + "/", RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, target.String(), http.StatusPermanentRedirect)
		return
	}
	h.notFound.serveStatus(w, r, http.StatusNotFound)
}

// file is one file of the build.
type file struct {
	body         []byte
	contentType  string
	cacheControl string
	policy       string // the Content-Security-Policy; pages only
	etag         string
	brotli       []byte        // the same compressed when the pages were built; nil where that was not done
	gzip         func() []byte // the same compressed when first asked for; nil where that gains nothing
}

func newFile(name string, body []byte) *file {
	sum := sha256.Sum256(body)
	f := &file{
		body:         body,
		contentType:  contentType(name),
		cacheControl: "no-cache",
		etag:         hex.EncodeToString(sum[:12]),
	}
	// Their names change with what is in them.
	if strings.HasPrefix(name, "_next/static/") {
		f.cacheControl = "public, max-age=31536000, immutable"
	}
	if path.Ext(name) == ".html" {
		f.policy = contentSecurityPolicy(body)
	}
	if len(body) > 1024 && path.Ext(name) != ".woff2" && path.Ext(name) != ".png" {
		f.gzip = sync.OnceValue(func() []byte { return compress(body) })
	}
	return f
}

// contentType names every kind of file a build has. What the machine's own tables say differs from machine to machine.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".ico":
		return "image/x-icon"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".json":
		return "application/json"
	case ".png":
		return "image/png"
	case ".svg":
		return "image/svg+xml"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".woff2":
		return "font/woff2"
	}
	return "application/octet-stream"
}

// serve answers with the file, or says that the browser has it already.
func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	body, etag := f.encode(w.Header(), r)
	f.setHeaders(w.Header())
	w.Header().Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// serveStatus answers with the file under a status of its own.
func (f *file) serveStatus(w http.ResponseWriter, r *http.Request, status int) {
	body, _ := f.encode(w.Header(), r)
	f.setHeaders(w.Header())
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the browser hung up: nobody is left to tell
	}
}

func (f *file) setHeaders(header http.Header) {
	header.Set("Content-Type", f.contentType)
	header.Set("Cache-Control", f.cacheControl)
	if f.policy != "" {
		header.Set("Content-Security-Policy", f.policy)
	}
}

// encode returns the body as the browser takes it, and the name of that body for caches.
func (f *file) encode(header http.Header, r *http.Request) ([]byte, string) {
	if f.brotli == nil && f.gzip == nil {
		return f.body, f.etag
	}
	header.Add("Vary", "Accept-Encoding")
	accepted := r.Header.Get("Accept-Encoding")
	switch {
	case f.brotli != nil && accepts(accepted, "br"):
		header.Set("Content-Encoding", "br")
		return f.brotli, f.etag + "-br"
	case f.gzip != nil && accepts(accepted, "gzip"):
		header.Set("Content-Encoding", "gzip")
		return f.gzip(), f.etag + "-gzip"
	}
	return f.body, f.etag
}

// accepts says whether an Accept-Encoding header takes a coding. One of quality 0 is refused.
func accepts(header, coding string) bool {
	for offer := range strings.SplitSeq(header, ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(offer), ";")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			quality = strings.TrimPrefix(strings.TrimSpace(quality), "q=")
			return quality == "" || strings.Trim(quality, "0.") != ""
		}
	}
	return false
}

func compress(body []byte) []byte {
	var compressed bytes.Buffer
	// Neither can fail: the level is one there is, and a buffer takes everything.
	w, _ := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	_, _ = w.Write(body)
	_ = w.Close()
	return compressed.Bytes()
}

var script = regexp.MustCompile(`(?s)<script([^>]*)>(.*?)</script>`)

// contentSecurityPolicy returns the policy of a page: it runs our own files and exactly the inline scripts it was built
// with, each named by its hash. Styles in attributes are what positions menus and dialogs; they are allowed.
func contentSecurityPolicy(page []byte) string {
	scripts := "'self'"
	for _, match := range script.FindAllSubmatch(page, -1) {
		if bytes.Contains(match[1], []byte("src=")) {
			continue
		}
		sum := sha256.Sum256(match[2])
		if source := " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(scripts, source) {
			scripts += source
		}
	}
	return strings.Join([]string{
		"default-src 'none'",
		"script-src " + scripts,
		"style-src 'self' 'unsafe-inline'",
		"img-src 'self' data:",
		"font-src 'self'",
		"connect-src 'self'",
		"base-uri 'none'",
		"form-action 'self'",
		"frame-ancestors 'none'",
	}, "; ")
}

func setSecurityHeaders(header http.Header) {
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
}

func serveNotBuilt(w http.ResponseWriter, _ *http.Request) {
	setSecurityHeaders(w.Header())
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, notBuilt, http.StatusServiceUnavailable)
}
