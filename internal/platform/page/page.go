// Package page makes and reads page tokens. A token says where the page before ended; it is bound to the filters it was
// made with, so that it cannot be used with others. Start at Token.
package page

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"github.com/intime-solutions/intime/internal/platform/apierr"
)

const (
	// DefaultSize is how many entries a page has where the caller does not say.
	DefaultSize = 50
	// MaxSize is how many entries a page has at most.
	MaxSize = 100

	version = 1
)

// Token is the place where a page ended: lists are ordered by id, and ids by time.
type Token struct {
	After uuid.UUID // the id of the page's last entry; uuid.Nil for the first page
	Key   string    // what else the list is ordered by, of the page's last entry; empty where that is nothing
}

type wire struct {
	Version int       `json:"v"`
	Filters string    `json:"f"`
	After   uuid.UUID `json:"a"`
	Key     string    `json:"k,omitempty"`
}

// Size returns the number of entries for a requested page size: 0 means DefaultSize, more than MaxSize means MaxSize.
func Size(requested int32) int {
	switch {
	case requested <= 0:
		return DefaultSize
	case requested > MaxSize:
		return MaxSize
	default:
		return int(requested)
	}
}

// Encode returns the token as text. The filters are whatever the list was filtered by, in a form that JSON keeps apart.
func (t Token) Encode(filters any) (string, error) {
	sum, err := digest(filters)
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(wire{Version: version, Filters: sum, After: t.After, Key: t.Key})
	if err != nil {
		return "", fmt.Errorf("encode page token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(data), nil
}

// Decode reads a token's text; an empty one is the first page. The error for a damaged one, or one of other filters, names
// the field page_token.
func Decode(text string, filters any) (Token, error) {
	if text == "" {
		return Token{}, nil
	}
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return Token{}, invalid("This is not a page token.")
	}
	var w wire
	if err := json.Unmarshal(data, &w); err != nil || w.Version != version || w.After == uuid.Nil {
		return Token{}, invalid("This is not a page token.")
	}
	sum, err := digest(filters)
	if err != nil {
		return Token{}, err
	}
	if w.Filters != sum {
		return Token{}, invalid("This page token belongs to other filters. Start again from the first page.")
	}
	return Token{After: w.After, Key: w.Key}, nil
}

func digest(filters any) (string, error) {
	data, err := json.Marshal(filters)
	if err != nil {
		return "", fmt.Errorf("digest filters: %w", err)
	}
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:12]), nil
}

func invalid(message string) error {
	e := apierr.New(connect.CodeInvalidArgument, apierr.ReasonPageToken, "%s", message)
	e.Violations = []apierr.Violation{{Field: "page_token", Rule: "page_token", Message: message}}
	return e
}
