package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Login is a database role that the program logs in as.
type Login string

// The logins. Neither owns anything, and neither can reach a role that bypasses row level security.
const (
	LoginAPI    Login = "intime_api"
	LoginWorker Login = "intime_worker"
)

// LoginURL derives a login's connection string from the administrator's: same server and database, the login's name, and a
// password made from the administrator's. So one secret is enough, and every process derives the same without writing
// anything down. An administrator without a password (peer or trust authentication) gives a login without one.
func LoginURL(adminURL string, login Login) (string, error) {
	config, err := pgconn.ParseConfig(adminURL)
	if err != nil {
		return "", fmt.Errorf("the administrator's connection string cannot be read: %w", err)
	}
	password := loginPassword(config.Password, login)
	u, err := url.Parse(adminURL)
	if err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql") {
		u.User = url.User(string(login))
		if password != "" {
			u.User = url.UserPassword(string(login), password)
		}
		// A user or a password among the parameters would win.
		query := u.Query()
		query.Del("user")
		query.Del("password")
		u.RawQuery = query.Encode()
		return u.String(), nil
	}
	// Keywords and values. Of the administrator's, all but his name and password are the login's.
	var b strings.Builder
	for _, pair := range keywordValue().FindAllStringSubmatch(adminURL, -1) {
		if pair[1] != "user" && pair[1] != "password" {
			fmt.Fprintf(&b, "%s=%s ", pair[1], pair[2])
		}
	}
	fmt.Fprintf(&b, "user=%s", login)
	if password != "" {
		fmt.Fprintf(&b, " password=%s", password)
	}
	return b.String(), nil
}

// keywordValue matches a keyword and its value, quoted or not, in a connection string that is not a URL.
func keywordValue() *regexp.Regexp {
	return regexp.MustCompile(`(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s\\]|\\.)*)`)
}

func loginPassword(adminPassword string, login Login) string {
	if adminPassword == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(adminPassword))
	mac.Write([]byte("intime login " + login))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// setLoginPasswords gives the logins their derived passwords.
func setLoginPasswords(ctx context.Context, admin *pgx.Conn) error {
	for _, login := range []Login{LoginAPI, LoginWorker} {
		password := loginPassword(admin.Config().Password, login)
		if password == "" {
			continue
		}
		// ALTER ROLE takes no parameters; format quotes both.
		var statement string
		err := admin.QueryRow(ctx, `SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)`, login, password).Scan(&statement)
		if err != nil {
			return fmt.Errorf("set the password of %s: %w", login, err)
		}
		if err := alterRole(ctx, admin, statement); err != nil {
			return fmt.Errorf("set the password of %s: %w", login, err)
		}
	}
	return nil
}

// alterRole runs a statement that changes a role. Roles belong to the whole cluster, and Postgres refuses to change one
// that somebody else changes at that moment ("tuple concurrently updated"). It has waited for him by then.
func alterRole(ctx context.Context, admin *pgx.Conn, statement string) error {
	const attempts = 20
	var err error
	for range attempts {
		_, err = admin.Exec(ctx, statement)
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != "XX000" {
			return err
		}
	}
	return err
}
