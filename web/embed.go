// Package web holds the dashboard's pages, built by Next.js and embedded, and serves them. It knows nothing of the API
// that the pages call. Start at Handler.
package web

import (
	"embed"
	"io/fs"
	"net/http"
)

// The all: prefix takes in the _next folder, and the .gitkeep that lets this compile before the pages are built.
//
//go:embed all:dist
var dist embed.FS

// Handler returns the handler that serves the pages; until `make build` has built them, it says so. Mount it at "/".
func Handler() (http.Handler, error) {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil, err
	}
	return newHandler(files)
}
