package mail_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	gomail "github.com/wneessen/go-mail"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
	"github.com/intime-solutions/intime/internal/mail"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

func TestMain(m *testing.M) { apptest.Main(m) }

// testBundle is a database with a worker's login on it.
type testBundle struct {
	admin  *pgx.Conn
	worker *postgres.DB
	url    string
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	url := apptest.Database(t)
	return &testBundle{admin: apptest.Connect(t, url), worker: open(t, url, postgres.LoginWorker), url: url}
}

func open(t *testing.T, adminURL string, login postgres.Login) *postgres.DB {
	t.Helper()
	url, err := postgres.LoginURL(adminURL, login)
	require.NoError(t, err)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

func (b *testBundle) sender(t *testing.T, transport mail.Transport) *mail.Sender {
	t.Helper()
	sender, err := mail.NewSender(mail.SenderConfig{From: "InTime <no-reply@intime.invalid>", Transport: transport}, b.worker)
	require.NoError(t, err)
	return sender
}

// as is a context on behalf of the system, acting for an organisation of the demo.
func as(t *testing.T, slug string) context.Context {
	t.Helper()
	for _, o := range demo.Organizations() {
		if o.Slug == slug {
			return principal.With(t.Context(), principal.System(o.ID()))
		}
	}
	t.Fatalf("there is no organisation %s", slug)
	return nil
}

func newMail(key string) mail.Mail {
	return mail.Mail{
		DedupKey: key, To: key + "@example.com", ToName: "Cara Candidate",
		Content: mail.Content{Subject: "Subject " + key, Text: "Text.", HTML: "<p>HTML.</p>"},
	}
}

// queue queues a mail for each key.
func (b *testBundle) queue(t *testing.T, keys ...string) {
	t.Helper()
	var mails []mail.Mail
	for _, key := range keys {
		mails = append(mails, newMail(key))
	}
	err := b.worker.Tenant(as(t, "acme"), func(ctx context.Context, tx *postgres.Tx) error { return mail.Queue(ctx, tx, mails) })
	require.NoError(t, err)
}

// row is where a mail stands.
type row struct {
	Status       string
	AttemptCount int
	WaitSeconds  int
	Sent         bool
	ErrorMessage string
}

func (b *testBundle) row(t *testing.T, key string) row {
	t.Helper()
	rows, err := b.admin.Query(t.Context(), `
		SELECT status, attempt_count, extract(epoch FROM next_attempt_at - now())::int AS wait_seconds,
			sent_at IS NOT NULL AS sent, coalesce(error_message, '') AS error_message
		FROM outgoing_mails WHERE dedup_key = $1`, key)
	require.NoError(t, err)
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[row])
	require.NoError(t, err)
	return found
}

// due makes the mail's time come.
func (b *testBundle) due(t *testing.T) {
	t.Helper()
	apptest.Exec(t, b.admin, `UPDATE outgoing_mails SET next_attempt_at = now() WHERE status = 'queued'`)
}

// recorder is a transport that counts what it was given.
type recorder struct {
	before func(id uuid.UUID) error // may be nil

	mu   sync.Mutex
	sent map[uuid.UUID]int
}

func (r *recorder) Send(_ context.Context, _ *gomail.Msg, id uuid.UUID) error {
	if r.before != nil {
		if err := r.before(id); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent == nil {
		r.sent = map[uuid.UUID]int{}
	}
	r.sent[id]++
	return nil
}
