package mail_test

import (
	"context"
	"errors"
	"fmt"
	netmail "net/mail"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/mail"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

func TestSender_TwoAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const count = 100
	var keys []string
	for i := range count {
		keys = append(keys, fmt.Sprintf("mail-%d", i))
	}
	b.queue(t, keys...)
	transport := &recorder{}
	var group sync.WaitGroup
	for range 2 {
		sender := b.sender(t, transport)
		group.Go(func() {
			for {
				taken, err := sender.RunOnce(t.Context())
				if err != nil || taken == 0 {
					return
				}
			}
		})
	}
	group.Wait()
	require.Len(t, transport.sent, count)
	for id, times := range transport.sent {
		require.Equal(t, 1, times, "%s", id)
	}
	require.Equal(t, int64(count), apptest.One[int64](t, b.admin,
		`SELECT count(*) FROM outgoing_mails WHERE status = 'sent' AND attempt_count = 1`))
}

// What another sender is claiming at this moment is passed over, without waiting for it.
func TestSender_PassesOverAnothersClaim(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.queue(t, "one", "two")
	claim, err := b.admin.Begin(t.Context())
	require.NoError(t, err)
	_, err = claim.Exec(t.Context(), `
		UPDATE outgoing_mails SET attempt_count = 1, next_attempt_at = now() + interval '1 minute' WHERE dedup_key = 'one'`)
	require.NoError(t, err)
	transport := &recorder{}
	taken, err := b.sender(t, transport).RunOnce(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, taken)
	require.NoError(t, claim.Commit(t.Context()))
	taken, err = b.sender(t, transport).RunOnce(t.Context())
	require.NoError(t, err)
	require.Zero(t, taken)
	require.Equal(t, row{Status: "sent", AttemptCount: 1, Sent: true}, b.row(t, "two"))
}

// A sender that was slow leaves what another one took over, and does not undo what that one noted.
func TestSender_LosesItsLease(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.queue(t, "one", "two", "three")
	waiting, goOn := make(chan uuid.UUID, 3), make(chan struct{})
	slow := &recorder{before: func(id uuid.UUID) error {
		waiting <- id
		<-goOn
		return errors.New("the mail server hung up")
	}}
	done, sender := make(chan error), b.sender(t, slow)
	go func() {
		_, err := sender.RunOnce(t.Context())
		done <- err
	}()
	var first uuid.UUID
	select {
	case first = <-waiting:
	case err := <-done:
		require.NoError(t, err)
		t.Fatal("nothing was sent")
	}
	b.due(t)
	quick := &recorder{}
	taken, err := b.sender(t, quick).RunOnce(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, taken)
	// And one of them, which the slow one has not come to, is just being sent by a third.
	thirds := apptest.One[string](t, b.admin, `
		UPDATE outgoing_mails SET status = 'queued', attempt_count = 3, sent_at = NULL, next_attempt_at = now() + interval '1 hour'
		WHERE id = (SELECT id FROM outgoing_mails WHERE id <> $1 LIMIT 1) RETURNING dedup_key`, first)
	close(goOn)
	require.NoError(t, <-done)
	require.Empty(t, waiting, "the slow one tries only what is its own")
	require.Len(t, quick.sent, 3)
	for _, key := range []string{"one", "two", "three"} {
		stands, want := b.row(t, key), row{Status: "sent", AttemptCount: 2, Sent: true}
		if key == thirds {
			require.InDelta(t, time.Hour.Seconds(), stands.WaitSeconds, 60)
			want = row{Status: "queued", AttemptCount: 3, WaitSeconds: stands.WaitSeconds}
		}
		require.Equal(t, want, stands, "%s", key)
	}
}

// A mail stays with the sender that claimed it until the lease ends: one that died leaves it to the next.
func TestSender_Dies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.queue(t, "one")
	died := make(chan struct{})
	dying := b.sender(t, &recorder{before: func(uuid.UUID) error { runtime.Goexit(); return nil }})
	go func() {
		defer close(died)
		_, _ = dying.RunOnce(t.Context())
	}()
	<-died
	next := &recorder{}
	taken, err := b.sender(t, next).RunOnce(t.Context())
	require.NoError(t, err)
	require.Zero(t, taken)
	require.InDelta(t, 60, b.row(t, "one").WaitSeconds, 30)
	b.due(t)
	_, err = b.sender(t, next).RunOnce(t.Context())
	require.NoError(t, err)
	require.Len(t, next.sent, 1)
}

func TestSender_Run(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, stop := context.WithCancel(t.Context())
	transport := &recorder{}
	done, sender := make(chan error), b.sender(t, transport)
	go func() { done <- sender.Run(ctx) }()
	b.queue(t, "one")
	apptest.Eventually(t, func() bool { return b.row(t, "one").Status == "sent" }, "not sent")
	b.queue(t, "two")
	apptest.Eventually(t, func() bool { return b.row(t, "two").Status == "sent" }, "not sent")
	stop()
	require.NoError(t, <-done)
}

func TestNewSender_BadFrom(t *testing.T) {
	t.Parallel()
	_, err := mail.NewSender(mail.SenderConfig{From: "nobody"}, nil)
	require.ErrorContains(t, err, "INTIME_MAIL_FROM")
}

func TestQueue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	queue := func(ctx context.Context, db *postgres.DB, mails ...mail.Mail) error {
		return db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error { return mail.Queue(ctx, tx, mails) })
	}
	count := func() int64 { return apptest.One[int64](t, b.admin, `SELECT count(*) FROM outgoing_mails`) }

	require.NoError(t, queue(as(t, "acme"), b.worker), "no mail is no mail")
	require.NoError(t, queue(as(t, "acme"), b.worker, newMail("one"), newMail("one"), newMail("two")))
	require.Equal(t, int64(2), count(), "the same key twice is one mail")
	require.NoError(t, queue(as(t, "acme"), b.worker, newMail("two")))
	require.Equal(t, int64(2), count(), "also later")
	require.NoError(t, queue(as(t, "globex"), b.worker, newMail("one")))
	require.Equal(t, int64(3), count(), "another organisation's keys are its own")

	rolledBack := errors.New("rolled back")
	err := b.worker.Tenant(as(t, "acme"), func(ctx context.Context, tx *postgres.Tx) error {
		require.NoError(t, mail.Queue(ctx, tx, []mail.Mail{newMail("three")}))
		return rolledBack
	})
	require.ErrorIs(t, err, rolledBack)
	require.Equal(t, int64(3), count())

	// Whoever is signed in may not write to anybody in the organisation's name.
	err = queue(as(t, "acme"), open(t, b.url, postgres.LoginAPI), newMail("four"))
	kind, _ := postgres.KindOf(err)
	require.Equal(t, postgres.KindDenied, kind, "%v", err)
	require.ErrorIs(t, mail.Queue(t.Context(), nil, nil), postgres.ErrNoTenant)
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	b := setup(t)
	folder := filepath.Join(t.TempDir(), "deep", "outbox")
	outbox, err := mail.NewOutbox(folder)
	require.NoError(t, err)
	require.Equal(t, folder, outbox.Folder())
	b.queue(t, "one", "two")
	for range 2 {
		_, err = b.sender(t, outbox).RunOnce(t.Context())
		require.NoError(t, err)
		apptest.Exec(t, b.admin, `UPDATE outgoing_mails SET status = 'queued', next_attempt_at = now()`)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	require.NoError(t, err)
	require.Len(t, files, 2, "sending again writes the same file, and nothing else is left")
	for _, name := range files {
		id := apptest.One[string](t, b.admin,
			`SELECT id::text FROM outgoing_mails WHERE id::text || '.eml' = $1`, filepath.Base(name))
		file, err := os.Open(name)
		require.NoError(t, err)
		message, err := netmail.ReadMessage(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		require.Equal(t, "<"+id+"@intime>", message.Header.Get("Message-Id"))
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	parse := func(text, html string) (*mail.Template, error) {
		return mail.ParseTemplate(fstest.MapFS{"m/hello.txt": {Data: []byte(text)}, "m/hello.html": {Data: []byte(html)}}, "m/hello")
	}
	good, err := parse("Hello {{.Name}}\r\n\r\nDear {{.Name}},\n\nhello.\n", "<p title=\"{{.Name}}\">{{.Name}}</p>")
	require.NoError(t, err)

	t.Run("OK", func(t *testing.T) {
		t.Parallel()
		content, err := good.Render(map[string]any{"Name": "A <b>\n\n\"B\""})
		require.NoError(t, err)
		require.Equal(t, mail.Content{
			Subject: `Hello A <b> "B"`, Text: "Dear A <b>\n\n\"B\",\n\nhello.\n",
			HTML: "<p title=\"A &lt;b&gt;\n\n&#34;B&#34;\">A &lt;b&gt;\n\n&#34;B&#34;</p>",
		}, content)
	})
	t.Run("BlankNotFilledIn", func(t *testing.T) {
		t.Parallel()
		_, err := good.Render(map[string]any{"Nam": "A"})
		require.ErrorContains(t, err, "render mail")
	})
	t.Run("NotATemplate", func(t *testing.T) {
		t.Parallel()
		for _, c := range [][2]string{{"no subject", "x"}, {"{{\n\nx", "x"}, {"x\n\n{{", "x"}, {"x\n\nx", "{{"}} {
			_, err := parse(c[0], c[1])
			require.ErrorContains(t, err, "parse mail template", "%q", c)
		}
		_, err := mail.ParseTemplate(fstest.MapFS{}, "m/hello")
		require.ErrorContains(t, err, "read mail template")
	})
}
