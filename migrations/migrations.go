// Package migrations holds the database's schema: SQL files in goose's format, one subject each. Internal/platform/postgres
// runs them, and River's own among them.
package migrations

import "embed"

// FS holds the SQL migrations.
//
//go:embed *.sql
var FS embed.FS
