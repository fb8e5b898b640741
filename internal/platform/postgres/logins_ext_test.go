package postgres_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

func TestLoginURL(t *testing.T) {
	for _, name := range []string{
		"PGPASSWORD", "PGUSER", "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE", "PGHOST", "PGPORT", "PGDATABASE", "PGSSLMODE",
	} {
		t.Setenv(name, "")
	}
	var passwords []string
	for name, admin := range map[string]string{
		"URL":                            "postgres://boss:secret@db.example:6432/intime?sslmode=disable",
		"the other scheme":               "postgresql://boss:secret@db.example:6432/intime?sslmode=disable",
		"user and password in its query": "postgres://db.example:6432/intime?user=boss&password=secret&sslmode=disable",
		"in both":                        "postgres://other:other@db.example:6432/intime?sslmode=disable&user=boss&password=secret",
		"a user without a password":      "postgres://boss@db.example:6432/intime?password=secret&sslmode=disable",
		"keywords and values":            "host=db.example port=6432 dbname=intime user=boss password=secret sslmode=disable",
		"quoted": `host = 'db.example' port=6432 dbname='intime' user='bo\'ss' ` +
			`password = 'secret' application_name='a user=x password=y' sslmode=disable`,
	} {
		for _, login := range []postgres.Login{postgres.LoginAPI, postgres.LoginWorker} {
			url, err := postgres.LoginURL(admin, login)
			require.NoError(t, err, name)
			config, err := pgconn.ParseConfig(url)
			require.NoError(t, err, name)
			require.Equal(t, fmt.Sprintf("%s@db.example:6432/intime", login),
				fmt.Sprintf("%s@%s:%d/%s", config.User, config.Host, config.Port, config.Database), name)
			require.Nil(t, config.TLSConfig, "%s: sslmode was kept", name)
			require.GreaterOrEqual(t, len(config.Password), 40, name)
			require.NotContains(t, url, "secret", name)
			require.NotContains(t, url, "boss", name)
			if name == "quoted" {
				require.Equal(t, "a user=x password=y", config.RuntimeParams["application_name"])
			}
			passwords = append(passwords, string(login)+config.Password)
			again, err := postgres.LoginURL(admin, login)
			require.NoError(t, err)
			require.Equal(t, url, again, "every process derives the same")
		}
	}
	distinct := map[string]bool{}
	for _, p := range passwords {
		distinct[p] = true
	}
	require.Len(t, distinct, 2, "one password for each login, however the administrator's is written down")

	for _, admin := range []string{
		"postgres://boss@db.example/intime", "postgres:///intime?host=/run/postgresql",
		"host=/run/postgresql dbname=intime user=boss", "host=db.example",
	} {
		url, err := postgres.LoginURL(admin, postgres.LoginAPI)
		require.NoError(t, err)
		config, err := pgconn.ParseConfig(url)
		require.NoError(t, err)
		require.Equal(t, "intime_api", config.User, admin)
		require.Empty(t, config.Password, "%s: no password gives none", admin)
	}
	// The administrator's password may stand in the environment.
	t.Setenv("PGPASSWORD", "secret")
	url, err := postgres.LoginURL("host=db.example port=6432 dbname=intime user=boss", postgres.LoginAPI)
	require.NoError(t, err)
	config, err := pgconn.ParseConfig(url)
	require.NoError(t, err)
	require.Contains(t, distinct, "intime_api"+config.Password)

	for _, broken := range []string{"postgres://boss:secret@[::1/x", "host", "postgres://boss:secret@h:port/x"} {
		_, err := postgres.LoginURL(broken, postgres.LoginAPI)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "secret")
	}
}

// The derived passwords are the ones that the migration set.
func TestLoginURL_LogsIn(t *testing.T) {
	t.Parallel()
	url := apptest.Database(t)
	admin := apptest.Connect(t, url)
	c := admin.Config()
	for _, login := range []postgres.Login{postgres.LoginAPI, postgres.LoginWorker} {
		keywords := fmt.Sprintf("host=%s port=%d dbname=%s user=%s password='%s'", c.Host, c.Port, c.Database, c.User, c.Password)
		for _, form := range []string{url, keywords} {
			derived, err := postgres.LoginURL(form, login)
			require.NoError(t, err)
			require.Equal(t, []string{string(login)}, column[string](t, apptest.Connect(t, derived), `SELECT session_user::text`))
		}
	}
	api, err := postgres.LoginURL(url, postgres.LoginAPI)
	require.NoError(t, err)
	config, err := pgconn.ParseConfig(api)
	require.NoError(t, err)
	_, err = postgres.Open(t.Context(), postgres.Config{
		URL: fmt.Sprintf("host=%s port=%d dbname=%s user=intime_worker password=%s",
			config.Host, config.Port, config.Database, config.Password),
	})
	require.Error(t, err, "one login's password is not the other's")
}
