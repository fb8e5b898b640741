package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

const superuser = "postgres"

// dataVersion is the major version of Postgres that made the data; 0 when there
// are none.
func dataVersion(data string) (int, error) {
	if _, err := os.Stat(data); errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("%s is not a Postgres data folder and was left alone: move it away, or use another folder", data)
	}
	if err != nil {
		return 0, err
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s does not say which Postgres made the data: %w", filepath.Join(data, "PG_VERSION"), err)
	}
	return major, nil
}

func wrongMajor(data string, major int, bin binaries) error {
	return fmt.Errorf("the data in %s were made by Postgres %d, but the binaries in use are %s (%s), and nothing was changed: "+
		"set INTIME_POSTGRES_BIN to the bin folder of a Postgres %d, or move the data away to begin with an empty database",
		data, major, bin.version, bin.dir, major)
}

// createData makes a new database. It does so in a folder of its own that is
// renamed in the end: what an interrupted initdb leaves is never started.
func createData(ctx context.Context, cfg Config, f *folder, who account, bin binaries) error {
	cfg.Progress(fmt.Sprintf("creating a Postgres %s database in %s …", bin.version, f.path))
	work, err := os.MkdirTemp(f.path, "initdb-*")
	if err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	defer os.RemoveAll(work)
	password := rand.Text()
	ours, theirs := f.passwordFile(), filepath.Join(work, "password")
	if err := errors.Join(
		writeSecret(ours, password), // before the data, which are of no use without
		writeSecret(theirs, password),
		who.own(theirs),
		who.own(work),
	); err != nil {
		return fmt.Errorf("write the password: %w", err)
	}

	fresh := filepath.Join(work, "data")
	args := []string{
		"--pgdata=" + fresh, "--username=" + superuser, "--pwfile=" + theirs,
		"--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions",
	}
	if cfg.Ephemeral {
		args = append(args, "--no-sync")
	}
	_, err = run(ctx, who.command(bin.path("initdb"), append(args, localeArgs(bin.major, runtime.GOOS)...)...))
	if err != nil {
		return fmt.Errorf("create the database with %s: %w", bin.path("initdb"), err)
	}
	if err := os.Rename(fresh, f.data()); err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	return syncFolder(f.path)
}

// localeArgs sort by code point, the same on every machine and unaffected by
// updates of its libraries, yet know upper and lower case beyond ASCII. From 17
// on Postgres brings that locale itself; before, macOS and Windows lack it.
func localeArgs(major int, system string) []string {
	switch {
	case major >= 17:
		return []string{"--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"}
	case system == "linux":
		return []string{"--locale=C", "--lc-ctype=C.UTF-8"}
	default:
		return []string{"--locale=C"}
	}
}

func writeSecret(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text + "\n")
	return errors.Join(err, file.Sync(), file.Close())
}

// syncFolder makes a rename survive a power cut; Windows does that by itself.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
