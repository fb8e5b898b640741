package eventbus

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/page"
)

// The reasons for a token that no watch goes on from.
const (
	ReasonResumeToken   = "RESUME_TOKEN_INVALID" // damaged, or of other filters or another organisation
	ReasonResumeExpired = "RESUME_TOKEN_EXPIRED" // too old, or of another database
)

// resumeWithin is how old a token may be: well below what events are kept for, so that none is missing unnoticed.
const resumeWithin = 7 * 24 * time.Hour

// position is how far somebody has watched: he has been sent all changes that seen sees. Within a long stretch of changes
// he has also been sent those that until sees, up to the place.
type position struct {
	seen  snapshot
	until snapshot // the zero snapshot outside a stretch
	place place
}

// place is where a change stands in a stretch.
type place struct {
	xid uint64
	id  uuid.UUID
}

// whole says whether the position is outside a stretch.
func (p position) whole() bool { return p.until.xmax == 0 }

// binding is what a token is bound to.
type binding struct {
	Org      uuid.UUID
	Types    []string
	Statuses []string
}

const tokenVersion = 1

type wireToken struct {
	Version int       `json:"v"`
	Filters string    `json:"f"`
	Taken   int64     `json:"t"`
	Seen    []uint64  `json:"s"`
	Until   []uint64  `json:"u,omitempty"`
	Xid     uint64    `json:"x,omitempty"`
	ID      uuid.UUID `json:"i,omitzero"`
}

// encode returns the position as a token with the digest of its binding.
func (p position) encode(digest string) (string, error) {
	w := wireToken{Version: tokenVersion, Filters: digest, Taken: p.seen.taken, Seen: p.seen.pack(), Xid: p.place.xid, ID: p.place.id}
	if !p.whole() {
		w.Until = p.until.pack()
	}
	data, err := json.Marshal(w)
	if err != nil {
		return "", fmt.Errorf("encode resume token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(data), nil
}

// decodePosition reads a token. now is the present: a token from later is not of this database.
func decodePosition(text, digest string, now snapshot) (position, error) {
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return position{}, invalidToken("This is not a resume token.")
	}
	var w wireToken
	if err := json.Unmarshal(data, &w); err != nil || w.Version != tokenVersion {
		return position{}, invalidToken("This is not a resume token.")
	}
	if w.Filters != digest {
		return position{}, invalidToken("This resume token belongs to other filters or another organisation. Begin without one.")
	}
	p := position{place: place{xid: w.Xid, id: w.ID}}
	if p.seen, err = unpack(w.Seen, w.Taken); err != nil {
		return position{}, invalidToken("This is not a resume token.")
	}
	if w.Until != nil {
		if p.until, err = unpack(w.Until, w.Taken); err != nil || w.Xid > maxXid {
			return position{}, invalidToken("This is not a resume token.")
		}
	}
	if now.taken-w.Taken > int64(resumeWithin.Seconds()) || p.seen.xmax > now.xmax || p.until.xmax > now.xmax {
		return position{}, apierr.New(connect.CodeFailedPrecondition, ReasonResumeExpired,
			"What happened since this token was made is not known any more. Load the list again and watch from now on.")
	}
	return p, nil
}

func invalidToken(message string) error {
	e := apierr.New(connect.CodeInvalidArgument, ReasonResumeToken, "%s", message)
	e.Violations = []apierr.Violation{{Field: "resume_token", Rule: "resume_token", Message: message}}
	return e
}

// bindingOf returns the digest that the tokens of a watch are bound by.
func bindingOf(org uuid.UUID, f filters) (string, error) {
	return page.Digest(binding{Org: org, Types: f.Types, Statuses: f.Statuses})
}
