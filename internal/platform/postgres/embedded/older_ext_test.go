//go:build faults

package embedded_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/postgres/embedded"
)

// Needs an older Postgres beside the pinned one, which a machine need not have: make test-faults has it.
func TestFault_KeepsToTheVersionOfTheData(t *testing.T) {
	t.Parallel()
	found, err := filepath.Glob("/usr/lib/postgresql/1[567]/bin/postgres")
	require.NoError(t, err)
	require.NotEmpty(t, found, "install a Postgres older than the pinned one, for example postgresql-15")
	dir := newDir(t)
	made := start(t, embedded.Config{Dir: dir, BinDir: filepath.Dir(found[0])})
	exec(t, made, "CREATE TABLE kept AS SELECT upper('ü') AS value")
	require.NoError(t, made.Stop(t.Context()))

	again := start(t, embedded.Config{Dir: dir})
	require.Equal(t, made.Version(), again.Version())
	require.Equal(t, "Ü", query(t, again, "SELECT value FROM kept"))
}
