package job_test

import (
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/eventbus/eventbustest"
	"github.com/intime-solutions/intime/internal/job"
)

// addCandidate adds somebody who suits the jobs of these tests, but for what the SQL sets.
func addCandidate(t *testing.T, admin *pgx.Conn, name, set string) {
	t.Helper()
	email := name + "@match.example"
	apptest.Exec(t, admin, `
		INSERT INTO user_profiles (org_id, email, full_name, candidate_status, candidate_skills, candidate_experience_years)
		SELECT id, $1, $2, 'active', '{Go}', 4 FROM organizations WHERE slug = 'acme'`, email, name)
	if set != "" {
		require.Equal(t, int64(1), apptest.Exec(t, admin, `UPDATE user_profiles SET `+set+` WHERE email = $1`, email))
	}
}

// told are the people who were told of the job, once its event was handled.
func told(t *testing.T, kit *eventbustest.Kit, created *jobv1.Job) []string {
	t.Helper()
	kit.RunDue(t)
	d := kit.Delivery(t, published(t, kit.Admin, created).ID, "notify_matching_candidates")
	require.Equal(t, "succeeded", d.Status, d.ErrorMessage)
	return apptest.All[string](t, kit.Admin, `
		SELECT replace(recipient, '@match.example', '') FROM outgoing_mails
		WHERE dedup_key LIKE $1::uuid || '/%' ORDER BY recipient COLLATE "C"`, d.ID)
}

func TestNotifyMatchingCandidates(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	kit := eventbustest.New(t, env.AdminURL, job.RegisterHandlers)
	admin, rita := kit.Admin, env.As(t, "recruiter")
	apptest.Exec(t, admin, `DELETE FROM user_roles WHERE role_name = 'candidate'`)
	apptest.Exec(t, admin, `UPDATE user_profiles SET candidate_status = NULL`)
	suits := []string{}
	for name, set := range map[string]string{
		"active": "", "bench": "candidate_status = 'bench'",
		"upper": "candidate_skills = '{GO}'", "blanks": "candidate_skills = '{\" go \",Cobol}'", "umlaut": "candidate_skills = '{ÜBUNG}'",
		"both": "candidate_skills = '{Go,Übung}'", "atleast": "candidate_experience_years = 3", "atmost": "candidate_experience_years = 6",
	} {
		addCandidate(t, admin, name, set)
		suits = append(suits, name)
	}
	slices.Sort(suits)
	for name, set := range map[string]string{
		"placed": "candidate_status = 'placed'", "resting": "candidate_status = 'inactive'", "barred": "candidate_status = 'blacklisted'",
		"nocandidate": "candidate_status = NULL", "noskills": "candidate_skills = NULL", "others": "candidate_skills = '{Cobol}'",
		"part": "candidate_skills = '{Golang}'", "toolittle": "candidate_experience_years = 2", "toomuch": "candidate_experience_years = 7",
		"unknown": "candidate_experience_years = NULL", "inactive": "is_active = false", "deleted": "deleted_at = now()",
		"foreign": "org_id = (SELECT id FROM organizations WHERE slug = 'globex')",
	} {
		addCandidate(t, admin, name, set)
	}
	wanted := func(r *jobv1.CreateJobRequest) { r.RequiredSkills = []string{"go", "übung"} }
	between := func(least, most *int32) func(*jobv1.CreateJobRequest) {
		return func(r *jobv1.CreateJobRequest) { r.ExperienceYearsMin, r.ExperienceYearsMax = least, most }
	}

	require.Equal(t, suits, told(t, kit, create(t, rita, wanted, between(new(int32(3)), new(int32(6))))))
	require.Equal(t, sorted(suits, "toomuch"), told(t, kit, create(t, rita, wanted, between(new(int32(3)), nil))))
	require.Equal(t, sorted(suits, "toolittle", "unknown"), told(t, kit, create(t, rita, wanted, between(nil, new(int32(6))))))
	require.Equal(t, sorted(suits, "toolittle", "toomuch", "unknown"), told(t, kit, create(t, rita, wanted)))
	require.Equal(t, []string{"atleast"}, told(t, kit, create(t, rita, wanted, between(new(int32(3)), new(int32(3))))))
	require.Empty(t, told(t, kit, create(t, rita, func(r *jobv1.CreateJobRequest) { r.RequiredSkills = []string{"Fortran"} })))
}

func sorted(names []string, more ...string) []string {
	all := slices.Concat(names, more)
	slices.Sort(all)
	return all
}

func TestNotifyMatchingCandidates_Twice(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	kit := eventbustest.New(t, env.AdminURL, job.RegisterHandlers)
	created := create(t, env.As(t, "recruiter"))
	first := told(t, kit, created)
	require.NotEmpty(t, first)
	addCandidate(t, kit.Admin, "late", "")
	apptest.Redeliver(t, kit.Admin, published(t, kit.Admin, created).ID.String())
	require.Len(t, kit.RunDue(t), 1, "the delivery runs again")
	require.Equal(t, sorted(first, "late"), told(t, kit, created), "each is told once")
}

func TestNotifyMatchingCandidates_JobDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	kit := eventbustest.New(t, env.AdminURL, job.RegisterHandlers)
	admin, rita := kit.Admin, env.As(t, "recruiter")
	deleted, changed := create(t, rita), create(t, rita)
	_, err := rita.Jobs.DeleteJob(t.Context(), &jobv1.DeleteJobRequest{Id: deleted.GetId(), Version: 1})
	require.NoError(t, err)
	_, err = rita.Jobs.UpdateJob(t.Context(), &jobv1.UpdateJobRequest{Id: changed.GetId(), Version: 1, Title: new("Renamed")})
	require.NoError(t, err)
	require.Empty(t, told(t, kit, deleted))
	require.NotEmpty(t, told(t, kit, changed))
	require.Equal(t, []string{"New job for you: Renamed"}, apptest.All[string](t, admin, `SELECT DISTINCT subject FROM outgoing_mails`))
}

// letter is a mail of the outbox.
type letter struct {
	header     mail.Header
	text, html string
}

// awaitLetter waits until the outbox has the only mail to the address, and reads it.
func awaitLetter(t *testing.T, env *apptest.Env, to string) letter {
	t.Helper()
	var found []letter
	apptest.Eventually(t, func() bool {
		found = nil
		files, err := filepath.Glob(filepath.Join(env.App.Outbox(), "*.eml"))
		require.NoError(t, err)
		for _, name := range files {
			if l, complete := readLetter(t, name); complete {
				address, err := mail.ParseAddress(l.header.Get("To"))
				require.NoError(t, err)
				if address.Address == to {
					found = append(found, l)
				}
			}
		}
		return len(found) > 0
	}, "no mail to %s", to)
	require.Len(t, found, 1)
	return found[0]
}

func readLetter(t *testing.T, name string) (l letter, complete bool) {
	t.Helper()
	file, err := os.Open(name)
	require.NoError(t, err)
	defer file.Close()
	message, err := mail.ReadMessage(file)
	if err != nil {
		return letter{}, false
	}
	l.header = message.Header
	kind, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", kind)
	parts := multipart.NewReader(message.Body, params["boundary"])
	for _, into := range []*string{&l.text, &l.html} {
		part, err := parts.NextRawPart()
		if err != nil {
			return letter{}, false
		}
		data, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			return letter{}, false
		}
		*into = string(data)
	}
	_, err = parts.NextPart()
	return l, err == io.EOF //nolint:errorlint // multipart returns it bare
}

func subject(t *testing.T, l letter) string {
	t.Helper()
	decoded, err := new(mime.WordDecoder).DecodeHeader(l.header.Get("Subject"))
	require.NoError(t, err)
	return decoded
}

func TestNotifyMatchingCandidates_Mail(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin, rita := env.Admin(t), env.As(t, "recruiter")
	for _, name := range []string{"content", "script", "breaks", "name"} {
		addCandidate(t, admin, name, "candidate_skills = '{cobol,"+strings.ToUpper(name)+",fortran}'")
	}
	apptest.Exec(t, admin, `UPDATE user_profiles SET full_name = $1 WHERE email = 'name@match.example'`,
		"Eve\r\nBcc: evil@example.com\r\n\r\n<b>Hello</b>, \"Ünï\" <x@example.com>")
	asksFor := func(skill string) func(*jobv1.CreateJobRequest) {
		return func(r *jobv1.CreateJobRequest) { r.RequiredSkills = []string{skill, "Ada"} }
	}

	t.Run("Content", func(t *testing.T) {
		t.Parallel()
		create(t, rita, asksFor("content"), titled("Äquator-Pilot 🚀"), func(r *jobv1.CreateJobRequest) { r.RemoteAllowed = true })
		l := awaitLetter(t, env, "content@match.example")
		require.Equal(t, "New job for you: Äquator-Pilot 🚀", subject(t, l))
		require.Equal(t, `"content" <content@match.example>`, l.header.Get("To"))
		require.Equal(t, `"InTime" <no-reply@intime.invalid>`, l.header.Get("From"))
		require.NotEmpty(t, l.header.Get("Date"))
		require.Equal(t, "<"+apptest.One[string](t, admin,
			`SELECT id::text FROM outgoing_mails WHERE recipient = 'content@match.example'`)+"@intime>", l.header.Get("Message-Id"))
		for _, body := range []string{l.text, l.html} {
			for _, want := range []string{
				"Hello content,", "Äquator-Pilot 🚀", "Lisbon", "(or from elsewhere)", "Asked for: content, Ada", "You bring: CONTENT",
			} {
				require.Contains(t, body, want)
			}
			require.NotContains(t, body, "cobol")
		}
	})
	t.Run("HTMLIsEscaped", func(t *testing.T) {
		t.Parallel()
		const evil = `<script>alert("x")</script> & <img src=x onerror=y>`
		create(t, rita, asksFor("script"), titled(evil), func(r *jobv1.CreateJobRequest) { r.Location = evil })
		l := awaitLetter(t, env, "script@match.example")
		require.Equal(t, "New job for you: "+evil, subject(t, l))
		require.Contains(t, l.text, evil, "plain text says it as it is")
		require.NotContains(t, l.html, "<script")
		require.NotContains(t, l.html, "<img")
		require.Contains(t, l.html, "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; &lt;img")
	})
	t.Run("TitleIsOneLineOfTheHeader", func(t *testing.T) {
		t.Parallel()
		create(t, rita, asksFor("breaks"), titled("Pilot\r\nBcc: evil@example.com\n\nDear all\n\n--"))
		l := awaitLetter(t, env, "breaks@match.example")
		require.Equal(t, "New job for you: Pilot Bcc: evil@example.com Dear all --", subject(t, l))
		require.Empty(t, l.header.Get("Bcc"))
		require.True(t, strings.HasPrefix(l.text, "Hello breaks,"), l.text)
	})
	t.Run("NameIsNoHeader", func(t *testing.T) {
		t.Parallel()
		create(t, rita, asksFor("name"))
		l := awaitLetter(t, env, "name@match.example")
		require.Empty(t, l.header.Get("Bcc"))
		to, err := mail.ParseAddressList(l.header.Get("To"))
		require.NoError(t, err)
		require.Len(t, to, 1)
		require.Equal(t, "name@match.example", to[0].Address)
		require.NotContains(t, l.html, "<b>")
	})
}
