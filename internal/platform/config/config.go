// Package config holds the program's settings: flags and environment variables of the same meaning, with defaults that
// suit a machine of one's own. Start at Config.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// Config is what every command may be told. The tags are kong's: the flag, the environment variable, the help.
type Config struct {
	Log         Log           `embed:"" prefix:"log-" group:"Log"`
	Database    Database      `embed:"" group:"Database"`
	GracePeriod time.Duration `env:"INTIME_GRACE_PERIOD" default:"20s" help:"How long calls and handlers may take to end when the program stops."`
	DataDir     string        `env:"INTIME_DATA_DIR" help:"Where intime keeps its own files: the embedded Postgres, the local issuer's key, the mail outbox. Default: .intime in this folder; for root, a folder under /var/lib." placeholder:"DIR"`
}

// Log says what is logged, and how.
type Log struct {
	Level  string `env:"INTIME_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"The least level that is logged: ${enum}."`
	Format string `env:"INTIME_LOG_FORMAT" default:"" enum:",json,text" help:"How lines look: json or text. Default: text for dev and demo, json otherwise."`
}

// Database says which Postgres to use.
type Database struct {
	URL         string `name:"database-url" env:"DATABASE_URL" help:"The database, as its administrator: for migrations, and for deriving the logins. Without it and PGHOST, dev and demo start a Postgres of their own." placeholder:"URL"`
	APIURL      string `name:"api-database-url" env:"INTIME_API_DATABASE_URL" help:"The database, as the login intime_api. Default: derived from the administrator's." placeholder:"URL"`
	WorkerURL   string `name:"worker-database-url" env:"INTIME_WORKER_DATABASE_URL" help:"The database, as the login intime_worker. Default: derived from the administrator's." placeholder:"URL"`
	PostgresBin string `name:"postgres-bin" env:"INTIME_POSTGRES_BIN" help:"The folder with the binaries of the embedded Postgres. Default: a pinned version from npm, else an installed one." placeholder:"DIR"`
}

// Server says how the API and the pages are served.
type Server struct {
	Addr           string   `env:"INTIME_ADDR" default:"127.0.0.1:8080" help:"The address to listen on; port 0 takes any that is free."`
	PublicURL      string   `env:"INTIME_PUBLIC_URL" help:"The address that browsers use, for example https://intime.example.com." placeholder:"URL"`
	AllowedOrigins []string `env:"INTIME_ALLOWED_ORIGINS" help:"Other origins whose pages may call the API, for example http://localhost:3000." placeholder:"URL"`
	Reflection     bool     `env:"INTIME_REFLECTION" help:"Let grpcurl and buf curl ask for the API's description. On in dev."`
	Auth           Auth     `embed:"" prefix:"auth-" group:"Authentication"`

	DailyEventsWarning int `env:"INTIME_DAILY_EVENTS_WARNING" default:"5000" help:"From how many events a day on an organisation's statistics warn; 0 for never."`
}

// Metrics says where a process tells how it fares.
type Metrics struct {
	Address string `name:"metrics-address" env:"INTIME_METRICS_ADDRESS" help:"Serve Prometheus metrics at /metrics on this address, for example 127.0.0.1:9090. Anybody who reaches it reads them: keep it private. Default: nowhere." placeholder:"ADDRESS"`
}

// Auth says whose tokens are accepted.
type Auth struct {
	Issuer      string   `env:"INTIME_AUTH_ISSUER" help:"The iss of the tokens, to the letter." placeholder:"URL"`
	Audience    []string `env:"INTIME_AUTH_AUDIENCE" help:"The aud of the tokens, for example authenticated." placeholder:"NAME"`
	JWKSURL     string   `name:"jwks-url" env:"INTIME_AUTH_JWKS_URL" help:"Where the issuer publishes its keys." placeholder:"URL"`
	JWTSecret   string   `name:"jwt-secret" env:"INTIME_AUTH_JWT_SECRET" help:"Instead of keys: the secret shared with the issuer, at least 32 bytes." placeholder:"SECRET"`
	LocalIssuer bool     `env:"INTIME_AUTH_LOCAL_ISSUER" help:"Accept tokens of the built-in issuer as well. On in dev."`
}

// Worker says how events are handled.
type Worker struct {
	Concurrency int    `env:"INTIME_WORKER_CONCURRENCY" default:"10" help:"How many deliveries of one event type this process runs at once."`
	AllowFaults bool   `env:"INTIME_ALLOW_FAULTS" help:"Let system.probe events fail, panic, hang and emit, for trying the bus out. Never in production."`
	SMTPURL     string `name:"smtp-url" env:"INTIME_SMTP_URL" help:"The mail server, for example smtp://user:password@host:587. Without it mail goes into the folder outbox." placeholder:"URL"`
	MailFrom    string `env:"INTIME_MAIL_FROM" default:"InTime <no-reply@intime.invalid>" help:"The sender of mail."`
}

var errNoDatabase = errors.New("no database: set DATABASE_URL (or PGHOST), or both INTIME_API_DATABASE_URL and INTIME_WORKER_DATABASE_URL")

// AdminURL returns the administrator's connection string: the setting, or else what the PG* variables say; empty where
// neither says anything.
func (d Database) AdminURL() string {
	if d.URL == "" && os.Getenv("PGHOST") != "" {
		return "host=" + os.Getenv("PGHOST")
	}
	return d.URL
}

// LoginURL returns a login's connection string: the setting, or else one derived from the administrator's.
func (d Database) LoginURL(login postgres.Login) (string, error) {
	set := d.APIURL
	if login == postgres.LoginWorker {
		set = d.WorkerURL
	}
	if set != "" {
		return set, nil
	}
	if d.AdminURL() == "" {
		return "", errNoDatabase
	}
	return postgres.LoginURL(d.AdminURL(), login)
}

// Validate is called by kong when the flags are read.
func (s Server) Validate() error {
	if slices.Contains(s.AllowedOrigins, "*") {
		return errors.New("INTIME_ALLOWED_ORIGINS contains *: name the origins, since their pages call with the session's cookie")
	}
	if s.DailyEventsWarning < 0 {
		return errors.New("INTIME_DAILY_EVENTS_WARNING must be 0 or more")
	}
	if s.PublicURL != "" {
		u, err := url.Parse(s.PublicURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("INTIME_PUBLIC_URL must be an http or https address, not %q", s.PublicURL)
		}
	}
	return nil
}

// Validate is called by kong when the flags are read.
func (m Metrics) Validate() error {
	if m.Address == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(m.Address); err != nil {
		return fmt.Errorf("INTIME_METRICS_ADDRESS must be a host and a port, for example 127.0.0.1:9090, not %q", m.Address)
	}
	return nil
}

// Validate is called by kong when the flags are read.
func (c Config) Validate() error {
	if c.GracePeriod <= 0 {
		return errors.New("INTIME_GRACE_PERIOD must be above 0")
	}
	return nil
}

// Validate is called by kong when the flags are read.
func (w Worker) Validate() error {
	if w.Concurrency < 1 || w.Concurrency > 1000 {
		return errors.New("INTIME_WORKER_CONCURRENCY must be between 1 and 1000")
	}
	return nil
}
