package eventbus

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
)

const (
	// sampleEvents is how many events a group of errors names.
	sampleEvents = 5
	// fingerprintBytes of a digest tell the errors of a handler apart.
	fingerprintBytes = 8
)

// What differs between two errors that are the same: quoted texts first, since ids and numbers stand in them too.
var (
	quotedText = regexp.MustCompile("\"[^\"]*\"|`[^`]*`|“[^”]*”|«[^»]*»|(^|[^\\pL\\pN])'[^']*'")
	uuidText   = regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	hexText    = regexp.MustCompile(`(?i)\b(0x[0-9a-f]+|[0-9a-f]{8,})\b`)
	numberText = regexp.MustCompile(`\d+([.,:]\d+)*`)
)

// normalize puts placeholders where errors that are the same differ: ids, numbers and quoted texts.
func normalize(message string) string {
	message = quotedText.ReplaceAllString(message, "$1<text>")
	message = uuidText.ReplaceAllString(message, "<id>")
	message = hexText.ReplaceAllStringFunc(message, func(text string) string {
		// A word may be made of these letters, and a number of these digits.
		if !strings.ContainsAny(text, "0123456789") || !strings.ContainsAny(text, "abcdefxABCDEFX") {
			return text
		}
		return "<hex>"
	})
	message = numberText.ReplaceAllString(message, "<n>")
	return strings.Join(strings.Fields(message), " ")
}

// fingerprint is what a normalized error is known by.
func fingerprint(normalized string) string {
	digest := sha256.Sum256([]byte(normalized))
	return hex.EncodeToString(digest[:fingerprintBytes])
}

// failedAttempt is an attempt that ended badly.
type failedAttempt struct {
	EventID      uuid.UUID
	ErrorMessage string
	FinishedAt   time.Time
}

// groupErrors groups attempts by their errors. The attempts come newest event first, and so do the groups, by their last
// error.
func groupErrors(attempts []failedAttempt) []*eventv1.ErrorGroup {
	var groups []*eventv1.ErrorGroup
	at := map[string]*eventv1.ErrorGroup{}
	for _, a := range attempts {
		message := normalize(a.ErrorMessage)
		group := at[message]
		if group == nil {
			group = &eventv1.ErrorGroup{
				Fingerprint: fingerprint(message), Message: message,
				FirstSeenAt: timestamppb.New(a.FinishedAt), LastSeenAt: timestamppb.New(a.FinishedAt),
			}
			at[message] = group
			groups = append(groups, group)
		}
		group.Count++
		if a.FinishedAt.Before(group.GetFirstSeenAt().AsTime()) {
			group.FirstSeenAt = timestamppb.New(a.FinishedAt)
		}
		if a.FinishedAt.After(group.GetLastSeenAt().AsTime()) {
			group.LastSeenAt = timestamppb.New(a.FinishedAt)
		}
		samples := group.GetSampleEventIds()
		id := a.EventID.String()
		// Attempts of one event come one after another.
		if len(samples) < sampleEvents && (len(samples) == 0 || samples[len(samples)-1] != id) {
			group.SampleEventIds = append(group.SampleEventIds, id)
		}
	}
	sortNewestFirst(groups)
	return groups
}
