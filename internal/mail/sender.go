package mail

import (
	"context"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	gomail "github.com/wneessen/go-mail"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	sendBatch = 20
	// sendLease is how long a claimed mail stays with its sender; a sender that dies leaves it to the next.
	sendLease = time.Minute
	// maxAttempts spreads over about two days.
	maxAttempts = 12
	longestWait = 6 * time.Hour
)

// SenderConfig says how mail leaves.
type SenderConfig struct {
	From      string // the sender's address, with or without a name
	Transport Transport
	Interval  time.Duration // how often to look for mail. Default: 500 ms
	Logger    *slog.Logger  // default: slog.Default()
}

// Sender delivers queued mail. Any number of processes may run one; each mail is claimed by one at a time.
type Sender struct {
	config SenderConfig
	db     *postgres.DB
}

// NewSender returns a sender, as the worker's login.
func NewSender(config SenderConfig, db *postgres.DB) (*Sender, error) {
	if config.Interval == 0 {
		config.Interval = 500 * time.Millisecond
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if err := gomail.NewMsg().From(config.From); err != nil {
		return nil, fmt.Errorf("INTIME_MAIL_FROM is no e-mail address: %w", err)
	}
	return &Sender{config: config, db: db}, nil
}

// Run sends mail until the context ends.
func (s *Sender) Run(ctx context.Context) error {
	tick := time.NewTicker(s.config.Interval)
	defer tick.Stop()
	for {
		taken, err := s.RunOnce(ctx)
		if err != nil && ctx.Err() == nil {
			s.config.Logger.WarnContext(ctx, "mail not sent", slog.Any("error", err))
		}
		if taken == sendBatch && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

type queued struct {
	ID            uuid.UUID
	Recipient     string
	RecipientName string
	Subject       string
	TextBody      string
	HTMLBody      string `db:"html_body"`
	AttemptCount  int
}

// RunOnce claims the mail that is due, sends it outside of any transaction, notes how that went, and returns how many mails
// it took.
func (s *Sender) RunOnce(ctx context.Context) (taken int, err error) {
	mails, err := s.claim(ctx)
	if err != nil {
		return 0, err
	}
	for _, m := range mails {
		if held, err := s.hold(ctx, m); err != nil || !held {
			if err != nil {
				return len(mails), err
			}
			continue
		}
		sendErr := s.send(ctx, m)
		if sendErr != nil {
			s.config.Logger.WarnContext(ctx, "mail not sent", slog.String("mail_id", m.ID.String()),
				slog.Int("attempt", m.AttemptCount), slog.Any("error", sendErr))
		}
		if err := s.note(ctx, m, sendErr); err != nil {
			return len(mails), err
		}
	}
	return len(mails), nil
}

func (s *Sender) claim(ctx context.Context) (mails []queued, err error) {
	err = s.db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `
			UPDATE public.outgoing_mails m
			SET attempt_count = m.attempt_count + 1, next_attempt_at = now() + $1::interval
			WHERE m.id IN (
				SELECT id FROM public.outgoing_mails WHERE status = 'queued' AND next_attempt_at <= now()
				ORDER BY next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED)
			RETURNING m.id, m.recipient, m.recipient_name, m.subject, m.text_body, m.html_body, m.attempt_count`,
			sendLease, sendBatch)
		if err != nil {
			return fmt.Errorf("claim mail: %w", err)
		}
		mails, err = pgx.CollectRows(rows, pgx.RowToStructByName[queued])
		return err
	})
	return mails, err
}

// hold makes the lease last for one more mail: those before it may have taken longer than the whole lease. False for a mail
// that another sender claimed meanwhile.
func (s *Sender) hold(ctx context.Context, m queued) (held bool, err error) {
	err = s.db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE public.outgoing_mails SET next_attempt_at = now() + $3::interval
			WHERE id = $1 AND attempt_count = $2 AND status = 'queued'`, m.ID, m.AttemptCount, sendLease)
		if err != nil {
			return fmt.Errorf("hold mail: %w", err)
		}
		held = tag.RowsAffected() == 1
		return nil
	})
	return held, err
}

func (s *Sender) send(ctx context.Context, m queued) error {
	message := gomail.NewMsg()
	if err := message.From(s.config.From); err != nil {
		return err
	}
	// A name is one line, and written so that nothing in it can be taken for an address.
	to := netmail.Address{Name: strings.Join(strings.Fields(m.RecipientName), " "), Address: m.Recipient}
	if err := message.To(to.String()); err != nil {
		return err
	}
	message.Subject(m.Subject)
	message.SetBodyString(gomail.TypeTextPlain, m.TextBody)
	message.AddAlternativeString(gomail.TypeTextHTML, m.HTMLBody)
	// The same at every attempt: a receiver that got it twice can tell.
	message.SetMessageIDWithValue(m.ID.String() + "@intime")
	message.SetDate()
	return s.config.Transport.Send(ctx, message, m.ID)
}

func (s *Sender) note(ctx context.Context, m queued, sendErr error) error {
	status, message, wait := "sent", "", time.Duration(0)
	if sendErr != nil {
		status, message = "queued", sendErr.Error()
		wait = min(time.Minute<<min(m.AttemptCount, 16), longestWait)
		if m.AttemptCount >= maxAttempts {
			status = "failed"
		}
	}
	return s.db.Login(context.WithoutCancel(ctx), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE public.outgoing_mails
			SET status = $2, error_message = nullif($3, ''), next_attempt_at = now() + $4::interval,
				sent_at = CASE WHEN $2 = 'sent' THEN now() END
			WHERE id = $1 AND attempt_count = $5`, m.ID, status, message, wait, m.AttemptCount)
		if err != nil {
			return fmt.Errorf("note that mail was sent: %w", err)
		}
		return nil
	})
}
