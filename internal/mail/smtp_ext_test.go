package mail_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	netmail "net/mail"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/mail"
)

// mailServer is a mail server in this process.
type mailServer struct {
	addr string

	mu       sync.Mutex
	refusing error
	greeted  int
	got      []envelope
}

type envelope struct {
	from    string
	to      []string
	message *netmail.Message
}

func startMailServer(t *testing.T) *mailServer {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &mailServer{addr: listener.Addr().String()}
	server := smtp.NewServer(s)
	server.Domain = "mail.example.com"
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

// NewSession begins a conversation.
func (s *mailServer) NewSession(*smtp.Conn) (smtp.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.greeted++
	return &conversation{server: s}, nil
}

func (s *mailServer) transport(t *testing.T) mail.Transport {
	t.Helper()
	transport, err := mail.NewSMTP("smtp://" + s.addr)
	require.NoError(t, err)
	return transport
}

// refuse has the server answer every mail with the error; nil has it take them.
func (s *mailServer) refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusing = err
}

func (s *mailServer) received() []envelope {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}

type conversation struct {
	envelope

	server *mailServer
}

func (c *conversation) Mail(from string, _ *smtp.MailOptions) error {
	c.from = from
	return nil
}

func (c *conversation) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.to = append(c.to, to)
	return nil
}

func (c *conversation) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.server.refusing != nil {
		return c.server.refusing
	}
	c.message, err = netmail.ReadMessage(bytes.NewReader(data))
	c.server.got = append(c.server.got, c.envelope)
	return err
}

func (c *conversation) Reset()        { c.envelope = envelope{} }
func (c *conversation) Logout() error { return nil }

func TestSender_SMTP(t *testing.T) {
	t.Parallel()
	b, server := setup(t), startMailServer(t)
	b.queue(t, "one", "two")
	taken, err := b.sender(t, server.transport(t)).RunOnce(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, taken)

	var to []string
	for _, e := range server.received() {
		require.Equal(t, "no-reply@intime.invalid", e.from)
		require.Len(t, e.to, 1)
		require.Equal(t, `"Cara Candidate" <`+e.to[0]+`>`, e.message.Header.Get("To"))
		to = append(to, e.to...)
	}
	require.ElementsMatch(t, []string{"one@example.com", "two@example.com"}, to)
	require.Equal(t, row{Status: "sent", AttemptCount: 1, Sent: true}, b.row(t, "one"))
	taken, err = b.sender(t, server.transport(t)).RunOnce(t.Context())
	require.NoError(t, err)
	require.Zero(t, taken, "what was sent is not sent again")
}

func TestSender_RetriesAndSendsOnce(t *testing.T) {
	t.Parallel()
	b, server := setup(t), startMailServer(t)
	sender := b.sender(t, server.transport(t))
	b.queue(t, "one")
	server.refuse(&smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "come back later"})

	for attempt, wait := range map[int]int{1: 120, 2: 240, 3: 480} {
		apptest.Exec(t, b.admin, `UPDATE outgoing_mails SET next_attempt_at = now(), attempt_count = $1`, attempt-1)
		taken, err := sender.RunOnce(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, taken)
		stands := b.row(t, "one")
		require.Contains(t, stands.ErrorMessage, "come back later")
		require.InDelta(t, wait, stands.WaitSeconds, 30)
		stands.ErrorMessage, stands.WaitSeconds = "", 0
		require.Equal(t, row{Status: "queued", AttemptCount: attempt}, stands)
		taken, err = sender.RunOnce(t.Context())
		require.NoError(t, err)
		require.Zero(t, taken, "it waits for its time")
	}
	server.refuse(nil)
	b.due(t)
	_, err := sender.RunOnce(t.Context())
	require.NoError(t, err)
	require.Len(t, server.received(), 1)
	stands := b.row(t, "one")
	require.Equal(t, "sent", stands.Status)
	require.Empty(t, stands.ErrorMessage)
	require.True(t, stands.Sent)
}

func TestSender_GivesUp(t *testing.T) {
	t.Parallel()
	b, server := setup(t), startMailServer(t)
	server.refuse(errors.New("never"))
	b.queue(t, "one")
	apptest.Exec(t, b.admin, `UPDATE outgoing_mails SET attempt_count = 11`)
	_, err := b.sender(t, server.transport(t)).RunOnce(t.Context())
	require.NoError(t, err)
	require.Equal(t, "failed", b.row(t, "one").Status)
	b.due(t)
	taken, err := b.sender(t, server.transport(t)).RunOnce(t.Context())
	require.NoError(t, err)
	require.Zero(t, taken)
}

func TestSender_NobodyListens(t *testing.T) {
	t.Parallel()
	b := setup(t)
	transport, err := mail.NewSMTP("smtp://127.0.0.1:1")
	require.NoError(t, err)
	b.queue(t, "one")
	_, err = b.sender(t, transport).RunOnce(t.Context())
	require.NoError(t, err, "one mail that fails is no reason to stop")
	require.Equal(t, "queued", b.row(t, "one").Status)
	require.NotEmpty(t, b.row(t, "one").ErrorMessage)
}

// A password is never sent in the clear.
func TestSMTP_PasswordNeedsTLS(t *testing.T) {
	t.Parallel()
	b, server := setup(t), startMailServer(t)
	transport, err := mail.NewSMTP("smtp://me:secret@" + server.addr)
	require.NoError(t, err)
	b.queue(t, "one")
	_, err = b.sender(t, transport).RunOnce(t.Context())
	require.NoError(t, err)
	require.Contains(t, b.row(t, "one").ErrorMessage, "STARTTLS")
	require.NotContains(t, b.row(t, "one").ErrorMessage, "secret")
	require.Empty(t, server.received())
}

func TestNewSMTP_Addresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"smtp://mail.example.com", "smtp://mail.example.com:2525", "smtps://u:p@mail.example.com:465", "smtp://[::1]:25",
	} {
		_, err := mail.NewSMTP(address)
		require.NoError(t, err, "%s", address)
	}
	for _, address := range []string{
		"", "mail.example.com", "http://mail.example.com", "smtp://", "smtp://:25", "smtp://mail:x", "smtp://mail:0", "smtp://mail:70000",
		"smtp://user:secret@mail:%zz",
	} {
		_, err := mail.NewSMTP(address)
		require.ErrorContains(t, err, "INTIME_SMTP_URL", "%s", address)
		require.NotContains(t, err.Error(), "secret")
	}
}
