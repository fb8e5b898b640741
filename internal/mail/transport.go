package mail

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/google/uuid"
	gomail "github.com/wneessen/go-mail"
)

// Transport takes mail out of the house.
type Transport interface {
	Send(ctx context.Context, message *gomail.Msg, id uuid.UUID) error
}

// smtpTimeout is how long one conversation with a mail server may take.
const smtpTimeout = 20 * time.Second

// SMTP sends over a mail server.
type SMTP struct{ client *gomail.Client }

// NewSMTP returns a transport for an address such as smtp://user:password@mail.example.com:587. smtp:// uses STARTTLS
// where the server offers it and insists on it when there is a password; smtps:// speaks TLS from the start.
func NewSMTP(address string) (*SMTP, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" {
		return nil, errors.New("INTIME_SMTP_URL must look like smtp://user:password@host:587 or smtps://host:465")
	}
	options := []gomail.Option{gomail.WithTimeout(smtpTimeout), gomail.WithTLSPolicy(gomail.TLSOpportunistic)}
	if u.Scheme == "smtps" {
		options = append(options, gomail.WithSSL())
	}
	if u.Port() != "" {
		port, err := strconv.Atoi(u.Port())
		if err != nil {
			return nil, errors.New("INTIME_SMTP_URL has no proper port")
		}
		options = append(options, gomail.WithPort(port))
	}
	if u.User != nil {
		password, _ := u.User.Password()
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(u.User.Username()), gomail.WithPassword(password))
		if u.Scheme == "smtp" {
			options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
		}
	}
	client, err := gomail.NewClient(u.Hostname(), options...)
	if err != nil {
		return nil, fmt.Errorf("INTIME_SMTP_URL: %w", err)
	}
	return &SMTP{client: client}, nil
}

// Send hands the message to the mail server.
func (s *SMTP) Send(ctx context.Context, message *gomail.Msg, _ uuid.UUID) error {
	return s.client.DialAndSendWithContext(ctx, message)
}

// Outbox writes mail into a folder, where one can read it: an .eml file for each.
type Outbox struct{ folder string }

// NewOutbox makes the folder where it is missing.
func NewOutbox(folder string) (*Outbox, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the outbox: %w", err)
	}
	return &Outbox{folder: folder}, nil
}

// Folder is where the mail goes.
func (o *Outbox) Folder() string { return o.folder }

// Send writes the message. Sending it again writes the same file. Whoever reads the folder finds whole messages alone.
func (o *Outbox) Send(_ context.Context, message *gomail.Msg, id uuid.UUID) error {
	name := filepath.Join(o.folder, id.String()+".eml")
	if err := message.WriteToFile(name + ".part"); err != nil {
		return fmt.Errorf("write mail: %w", err)
	}
	if err := os.Rename(name+".part", name); err != nil {
		return fmt.Errorf("write mail: %w", err)
	}
	return nil
}
