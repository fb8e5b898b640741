package embedded

import (
	"cmp"
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// installed returns a Postgres of the wanted major version (0: any that is
// supported) found on the machine, or else the first of another one.
func installed(ctx context.Context, who account, major int) (binaries, bool) {
	var other binaries
	for _, dir := range installedFolders(ctx) {
		bin, err := probe(ctx, who, dir)
		if err != nil {
			continue
		}
		if major == 0 || bin.major == major {
			return bin, true
		}
		if other.dir == "" {
			other = bin
		}
	}
	return other, other.dir != ""
}

// installedFolders are the places to look at, best first. Package managers keep
// the server off the PATH, and several versions beside each other.
func installedFolders(ctx context.Context) []string {
	var dirs []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		`C:\Program Files\PostgreSQL\*\bin`,
	} {
		found, _ := filepath.Glob(pattern) // fails only for a bad pattern
		dirs = append(dirs, newestFirst(found)...)
	}
	if path, err := exec.LookPath("pg_config"); err == nil {
		if text, err := exec.CommandContext(ctx, path, "--bindir").Output(); err == nil {
			dirs = append(dirs, strings.TrimSpace(string(text)))
		}
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	return dirs
}

// newestFirst sorts by the number in the path: 9 is older than 15.
func newestFirst(dirs []string) []string {
	digits := regexp.MustCompile(`\d+`)
	number := func(dir string) int {
		n, _ := strconv.Atoi(digits.FindString(dir))
		return n
	}
	slices.SortStableFunc(dirs, func(a, b string) int { return cmp.Compare(number(b), number(a)) })
	return dirs
}
