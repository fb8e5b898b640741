package eventbus

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// ExplainDelivery returns why a handler did or did not run for an event.
func (s *Service) ExplainDelivery(ctx context.Context, r *eventv1.ExplainDeliveryRequest) (*eventv1.ExplainDeliveryResponse, error) {
	var known *facts
	err := s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		known, err = findFacts(ctx, tx, r.GetEventId(), r.GetHandlerName())
		return err
	})
	if err != nil {
		return nil, err
	}
	return &eventv1.ExplainDeliveryResponse{Steps: known.explain()}, nil
}

// explain tells the story: what happened by its time, and in the end where things stand.
func (f *facts) explain() []*eventv1.ExplanationStep {
	happened := f.history()
	slices.SortStableFunc(happened, func(a, b *eventv1.ExplanationStep) int { return a.GetAt().AsTime().Compare(b.GetAt().AsTime()) })
	var end []*eventv1.ExplanationStep
	switch {
	case f.delivery != nil:
		end = f.standing()
	case f.handlerType != f.event.Type:
		end = steps(step(eventv1.ExplanationCode_EXPLANATION_CODE_OTHER_TYPE, nil,
			"%s handles %s, not %s: it never hears of this event.", f.handler, f.handlerType, f.event.Type))
	case !f.dispatched:
		end = append(f.hindrances(), step(eventv1.ExplanationCode_EXPLANATION_CODE_NOT_DISPATCHED, nil,
			"No dispatcher has taken the event yet. Every worker process has one, and looks at least once a second."))
	case f.subscription == nil:
		end = steps(step(eventv1.ExplanationCode_EXPLANATION_CODE_NOT_SUBSCRIBED, nil,
			"The organisation did not subscribe to %s when the event was dispatched, and does not now.", f.handler))
	default:
		end = steps(step(eventv1.ExplanationCode_EXPLANATION_CODE_NOT_SUBSCRIBED, &f.subscription.CreatedAt,
			"The organisation did not subscribe to %s when the event was dispatched. It has since %s.",
			f.handler, clock(f.subscription.CreatedAt)))
	}
	return append(happened, end...)
}

// history is what happened so far.
func (f *facts) history() []*eventv1.ExplanationStep {
	by := "the system"
	if f.event.CreatedBy != nil {
		by = value(f.event.CreatedByName)
		if by == "" {
			by = "the person " + f.event.CreatedBy.String()
		}
	}
	all := steps(step(eventv1.ExplanationCode_EXPLANATION_CODE_PUBLISHED, &f.event.PublishedAt,
		"%s published the event, a %s.", capital(by), f.event.Type))
	for _, s := range f.suspensions {
		until := "It still is."
		if s.Until != nil {
			until = "It was active again at " + clock(*s.Until) + "."
		}
		all = append(all, step(eventv1.ExplanationCode_EXPLANATION_CODE_ORGANIZATION_SUSPENDED, &s.From,
			"The organisation was suspended, and its events waited. %s", until))
	}
	if f.delivery == nil {
		return all
	}
	all = append(all, step(eventv1.ExplanationCode_EXPLANATION_CODE_DISPATCHED, &f.delivery.CreatedAt,
		"The event was dispatched: %s got a delivery of its own.", f.handler))
	for _, a := range f.attempts {
		code, how := eventv1.ExplanationCode_EXPLANATION_CODE_ATTEMPT_FAILED, "ended badly ("+a.Outcome+")"
		if a.Outcome == "interrupted" {
			code, how = eventv1.ExplanationCode_EXPLANATION_CODE_ATTEMPT_INTERRUPTED, "was interrupted, which does not count"
		}
		all = append(all, step(code, &a.FinishedAt, "Run %d, on the worker %s, %s: %s",
			a.Number, orUnknown(value(a.Worker)), how, orUnknown(value(a.ErrorMessage))))
	}
	if at := f.replayedAt(); at != nil {
		all = append(all, step(eventv1.ExplanationCode_EXPLANATION_CODE_REPLAYED, at, "The event was replayed."))
	}
	return all
}

// replayedAt is when the event was last replayed; nil where it was not.
func (f *facts) replayedAt() *time.Time {
	var noted struct {
		ReplayedAt *time.Time `json:"replayed_at"`
	}
	if json.Unmarshal(f.event.Metadata, &noted) != nil {
		return nil
	}
	return noted.ReplayedAt
}

// standing is where the delivery stands.
func (f *facts) standing() []*eventv1.ExplanationStep {
	d := f.delivery
	var all []*eventv1.ExplanationStep
	if d.AsSystem {
		all = steps(step(eventv1.ExplanationCode_EXPLANATION_CODE_AS_SYSTEM, nil,
			"Its publisher may not act any more: since the replay it runs as the organisation's system actor."))
	}
	switch d.Status {
	case "skipped":
		all = append(all, f.disabledNow()...)
		why := ""
		if f.disabledFor != "" {
			why = " The reason was: " + f.disabledFor
		}
		return append(all, step(eventv1.ExplanationCode_EXPLANATION_CODE_SKIPPED, d.FinishedAt,
			"The handler was disabled when the event was dispatched, so the delivery was skipped.%s", why))
	case "running":
		return append(all, f.running())
	case "succeeded":
		return append(all, step(eventv1.ExplanationCode_EXPLANATION_CODE_SUCCEEDED, d.FinishedAt,
			"Run %d succeeded on the worker %s, after %d ms.", d.RunCount, orUnknown(value(d.Worker)),
			value(d.FinishedAt).Sub(value(d.StartedAt)).Milliseconds()))
	case "dead_letter":
		return append(all, f.dead()...)
	case "discarded":
		return append(all, step(eventv1.ExplanationCode_EXPLANATION_CODE_DISCARDED, d.FinishedAt,
			"It was a dead letter, and somebody discarded it: %s", orUnknown(value(d.DiscardReason))))
	case "pending", "failed":
		return append(append(all, f.hindrances()...), f.waiting())
	default:
		return append(all, step(eventv1.ExplanationCode_EXPLANATION_CODE_UNSPECIFIED, d.FinishedAt, "The delivery is %s.", d.Status))
	}
}

func (f *facts) running() *eventv1.ExplanationStep {
	d := f.delivery
	lease := value(d.LeaseExpiresAt)
	if lease.Before(f.now) {
		return step(eventv1.ExplanationCode_EXPLANATION_CODE_LEASE_EXPIRED, d.LeaseExpiresAt,
			"Run %d began at %s on the worker %s and was not heard of since. Its lease ran out: the next to look takes it for crashed.",
			d.RunCount, clock(value(d.StartedAt)), orUnknown(value(d.Worker)))
	}
	return step(eventv1.ExplanationCode_EXPLANATION_CODE_RUNNING, d.StartedAt,
		"Run %d is running on the worker %s. Its lease runs out at %s.", d.RunCount, orUnknown(value(d.Worker)), clock(lease))
}

// waiting is a delivery whose next attempt has not begun.
func (f *facts) waiting() *eventv1.ExplanationStep {
	d := f.delivery
	if d.NextAttemptAt == nil {
		return step(eventv1.ExplanationCode_EXPLANATION_CODE_WAITING, nil,
			"It waits for a worker that is free. After five minutes the sweep gives it another job.")
	}
	because := ""
	if n := len(f.attempts); n > 0 {
		because = fmt.Sprintf(", because run %d ended badly: %s", f.attempts[n-1].Number, orUnknown(value(f.attempts[n-1].ErrorMessage)))
	}
	return step(eventv1.ExplanationCode_EXPLANATION_CODE_WAITING_FOR_RETRY, d.NextAttemptAt,
		"It waits for attempt %d of %d, due at %s%s", d.AttemptCount+1, d.MaxAttempts, clock(*d.NextAttemptAt), because)
}

func (f *facts) dead() []*eventv1.ExplanationStep {
	d := f.delivery
	var all []*eventv1.ExplanationStep
	why := fmt.Sprintf("all %d attempts ended badly", d.MaxAttempts)
	switch value(d.Reason) {
	case giveUpActorRevoked:
		why = "its publisher may not act any more. A replay runs it as the organisation's system actor"
		all = steps(step(eventv1.ExplanationCode_EXPLANATION_CODE_PUBLISHER_REVOKED, d.FinishedAt,
			"Who published the event may not act in the organisation any more, so the handler did not run in his name."))
	case giveUpPayloadInvalid:
		why = "its payload will not get better by trying again"
		all = steps(step(eventv1.ExplanationCode_EXPLANATION_CODE_PAYLOAD_INVALID, d.FinishedAt,
			"The payload is not what the type's message says, so the handler did not run: %s", orUnknown(value(d.ErrorMessage))))
	case giveUpPermanent:
		why = "the handler said that trying again is of no use"
	}
	return append(all, step(eventv1.ExplanationCode_EXPLANATION_CODE_DEAD_LETTER, d.FinishedAt,
		"It is a dead letter: %s. The last error: %s", why, orUnknown(value(d.ErrorMessage))))
}

// hindrances are what stands in the way of a delivery that has not begun.
func (f *facts) hindrances() []*eventv1.ExplanationStep {
	var all []*eventv1.ExplanationStep
	if f.delivery == nil {
		all = f.disabledNow()
	}
	if f.workers == 0 {
		all = append(all, step(eventv1.ExplanationCode_EXPLANATION_CODE_NOT_REGISTERED, nil,
			"No program that runs now has the handler %s: no worker process runs, or only those of another version.", f.handler))
	}
	return all
}

func (f *facts) disabledNow() []*eventv1.ExplanationStep {
	if f.subscription == nil || f.subscription.IsActive {
		return nil
	}
	return steps(step(eventv1.ExplanationCode_EXPLANATION_CODE_DISABLED_NOW, f.subscription.DisabledAt,
		"The handler is disabled now, and skips what is dispatched: %s", orUnknown(value(f.subscription.DisabledReason))))
}

func steps(all ...*eventv1.ExplanationStep) []*eventv1.ExplanationStep { return all }

func step(code eventv1.ExplanationCode, at *time.Time, format string, args ...any) *eventv1.ExplanationStep {
	return &eventv1.ExplanationStep{Code: code, Text: fmt.Sprintf(format, args...), At: timestamp(at)}
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func capital(text string) string {
	if text == "the system" {
		return "The system"
	}
	return text
}

func orUnknown(text string) string {
	if text == "" {
		return "unknown"
	}
	return text
}
