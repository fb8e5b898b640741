package demo_test

import (
	"context"
	"net/mail"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
)

func TestMain(m *testing.M) { apptest.Main(m) }

func story(t *testing.T, env *apptest.Env, told *[]string) demo.StoryConfig {
	t.Helper()
	return demo.StoryConfig{
		URL: env.URL,
		Token: func(user uuid.UUID) (string, error) {
			token, _, err := env.App.Issuer().Token(user, time.Hour)
			return token, err
		},
		Step: func(sentence string, _ time.Duration) { *told = append(*told, sentence) },
		Outbox: func() ([]string, error) {
			files, err := filepath.Glob(filepath.Join(env.App.Outbox(), "*.eml"))
			if err != nil {
				return nil, err
			}
			var to []string
			for _, name := range files {
				file, err := os.Open(name)
				if err != nil {
					return nil, err
				}
				message, err := mail.ReadMessage(file)
				_ = file.Close()
				if err != nil {
					return nil, err
				}
				address, err := mail.ParseAddress(message.Header.Get("To"))
				if err != nil {
					return nil, err
				}
				to = append(to, address.Address)
			}
			return to, nil
		},
	}
}

func TestStory(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	var told []string
	require.NoError(t, demo.Story(t.Context(), story(t, env, &told)))
	require.Len(t, told, 7)
}

// The story notices what it is there to show.
func TestStory_FailsWhereTheProductDoes(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin := env.Admin(t)
	// Paul was placed, and must not hear of jobs; now he would.
	apptest.Exec(t, admin, `UPDATE user_profiles SET candidate_status = 'bench' WHERE email IN ('paul@acme.example', 'cara@acme.example')`)
	apptest.Exec(t, admin, `UPDATE user_profiles SET candidate_skills = '{COBOL}' WHERE email = 'cara@acme.example'`)
	var told []string
	err := demo.Story(t.Context(), story(t, env, &told))
	require.ErrorContains(t, err, "mail went to [paul@acme.example]")
	require.Len(t, told, 3)
}

func TestSeed_Twice(t *testing.T) {
	t.Parallel()
	url := apptest.Database(t) // seeded already
	admin := apptest.Connect(t, url)
	count := func() int {
		return apptest.One[int](t, admin, `
			SELECT ((SELECT count(*) FROM organizations) + (SELECT count(*) FROM user_profiles) + (SELECT count(*) FROM user_roles))::int`)
	}
	before := count()
	apptest.Exec(t, admin, `UPDATE user_profiles SET full_name = 'Renamed' WHERE email = 'ana@acme.example'`)
	require.NoError(t, demo.Seed(context.WithoutCancel(t.Context()), url))
	require.Equal(t, before, count())
	require.Equal(t, "Renamed", apptest.One[string](t, admin, `SELECT full_name FROM user_profiles WHERE email = 'ana@acme.example'`))
}

func TestFind(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"ana@acme.example", "ana@acme.example"},
		{" Ana@ACME.example ", "ana@acme.example"},
		{"recruiter", "rita@acme.example"},
		{"CLIENT", "clive@acme.example"},
	} {
		found, ok := demo.Find(c[0])
		require.True(t, ok, "%s", c[0])
		require.Equal(t, c[1], found.Email)
	}
	_, ok := demo.Find("nobody")
	require.False(t, ok)
}
