package eventbus_test

import (
	"math"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

func TestEventService_PublishEvent(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana := env.As(t, "admin")

	t.Run("OK", func(t *testing.T) {
		t.Parallel()
		id := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_OK", "seq": "9007199254740993", "note": `"'\ <b>`})
		event := ana.Event(t, id)
		require.Equal(t, "system.probe", event.GetType())
		require.Equal(t, int32(1), event.GetSchemaVersion())
		require.Equal(t, probe{"action": "PROBE_ACTION_OK", "seq": "9007199254740993", "note": `"'\ <b>`}, event.GetPayload().AsMap())
		require.Equal(t, pending, event.GetStatus())
		require.Equal(t, id, event.GetCorrelationId())
		require.Equal(t, "Ana Admin", event.GetCreatedByName())
		require.Empty(t, event.GetDeliveries())
		require.Equal(t, uuid.Version(7), uuid.MustParse(id).Version())
	})
	t.Run("FieldsByEitherName", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"sleep_ms", "sleepMs"} {
			id := publish(t, ana, "system.probe", probe{"action": 1, name: 7})
			require.Equal(t, probe{"action": "PROBE_ACTION_OK", "sleepMs": 7.0}, ana.Event(t, id).GetPayload().AsMap())
		}
	})
	t.Run("DeniedForEverybodyWithoutThePermission", func(t *testing.T) {
		t.Parallel()
		for _, role := range []string{"recruiter", "student", "client", "hr_manager"} {
			_, err := env.As(t, role).Events.PublishEvent(t.Context(), request(t, "system.probe", probe{"action": 1}))
			require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err), "%s", role)
		}
	})
	t.Run("SixtyFourKiB", func(t *testing.T) {
		t.Parallel()
		const frame = `{"action":"PROBE_ACTION_OK","note":""}`
		note := strings.Repeat("é", (64<<10-len(frame))/2) // two bytes each
		note += strings.Repeat("x", 64<<10-len(frame)-len(note))
		id := publish(t, ana, "system.probe", probe{"action": 1, "note": note})
		require.Equal(t, note, ana.Event(t, id).GetPayload().AsMap()["note"])
		_, err := ana.Events.PublishEvent(t.Context(), request(t, "system.probe", probe{"action": 1, "note": note + "x"}))
		require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
		require.Equal(t, "EVENT_PAYLOAD_TOO_LARGE", apptest.Detail(err).GetReason())
		require.ErrorContains(t, err, "65537 bytes")
	})
}

func TestEventService_PublishEvent_Refuses(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana := env.As(t, "admin")
	ok := func() *eventv1.PublishEventRequest { return request(t, "system.probe", probe{"action": 1}) }
	with := func(change func(r *eventv1.PublishEventRequest)) *eventv1.PublishEventRequest {
		r := ok()
		change(r)
		return r
	}
	const (
		noType  = "type: event.type: Name the event type, for example job.created."
		noProbe = "payload: event.payload: The payload is not a intime.system.v1.SystemProbe."
	)
	for name, c := range map[string]struct {
		request *eventv1.PublishEventRequest
		reason  string
		want    string
	}{
		"UnknownType": {
			request(t, "no.such", probe{}), "EVENT_TYPE_UNKNOWN", "type: event.type.unknown: There is no event type of that name.",
		},
		"NoType":      {request(t, "", probe{}), "", noType},
		"TypeInUpper": {request(t, "System.Probe", probe{}), "", noType},
		"TypeIsNoName": {
			request(t, "system.probe'; DROP TABLE events; --", probe{}), "", noType,
		},
		"NoPayload": {with(func(r *eventv1.PublishEventRequest) { r.Payload = nil }), "", "payload: required: value is required"},
		"RuleOfAField": {
			request(t, "system.probe", probe{"action": 1, "sleepMs": -1}), "",
			"payload.sleep_ms: int32.gte_lte: must be greater than or equal to 0 and less than or equal to 120000",
		},
		"MissingField": {
			request(t, "system.probe", probe{}), "", "payload.action: enum.not_in: must not be in list [0]",
		},
		"RuleOverFields": {
			request(t, "system.probe", probe{"action": 3}), "",
			"payload.count: count.required: Say how many: count must be at least 1 for this action.",
		},
		"RuleInAList": {
			request(t, "job.created", probe{"jobId": uuid.NewString(), "title": "x", "requiredSkills": []any{"Go", ""}}), "",
			"payload.required_skills[1]: string.min_len: must be at least 1 characters",
		},
		"UnknownField": {
			request(t, "system.probe", probe{"action": 1, "acton": 2}), "", noProbe,
		},
		"WrongKind": {
			request(t, "system.probe", probe{"action": probe{}}), "", noProbe,
		},
		"NotANumber": {
			with(func(r *eventv1.PublishEventRequest) { r.Payload.Fields["seq"] = structpb.NewNumberValue(math.NaN()) }), "",
			"payload: event.payload: The payload is not JSON.",
		},
		"NoValue": {
			with(func(r *eventv1.PublishEventRequest) { r.Payload.Fields["seq"] = &structpb.Value{} }), "",
			"payload: event.payload: The payload is not JSON.",
		},
		"LongKey": {
			with(func(r *eventv1.PublishEventRequest) { r.IdempotencyKey = strings.Repeat("k", 201) }), "",
			"idempotency_key: string.max_len: must be at most 200 characters",
		},
		"NUL": {
			request(t, "system.probe", probe{"action": 1, "note": "a\x00b"}), "",
			`payload.fields["note"].string_value: string.no_nul: Text may not contain the character U+0000.`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ana.Events.PublishEvent(t.Context(), c.request)
			require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err), "%v", err)
			detail := apptest.Detail(err)
			if c.reason == "" {
				c.reason = "INVALID_ARGUMENT"
			}
			require.Equal(t, c.reason, detail.GetReason())
			require.Len(t, detail.GetViolations(), 1)
			v := detail.GetViolations()[0]
			require.Equal(t, c.want, v.GetField()+": "+v.GetRule()+": "+v.GetMessage())
		})
	}
	t.Run("PayloadIsNoObject", func(t *testing.T) {
		t.Parallel()
		for _, payload := range []string{`null`, `1`, `[]`, `"text"`, strings.Repeat(`{"a":`, 101) + `1` + strings.Repeat(`}`, 101)} {
			answer := env.Call(t, env.Token(t, "admin"), "/intime.event.v1.EventService/PublishEvent",
				`{"type":"system.probe","payload":`+payload+`}`)
			require.Equal(t, http.StatusBadRequest, answer.Code, "%s: %s", payload, answer.Body)
		}
	})
}

func TestEventService_PublishEvent_IdempotencyKey(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, ana := env.Admin(t), env.As(t, "admin")
	keyed := func(key string, payload probe) *eventv1.PublishEventRequest {
		r := request(t, "system.probe", payload)
		r.IdempotencyKey = key
		return r
	}

	t.Run("SamePayload", func(t *testing.T) {
		t.Parallel()
		first, err := ana.Events.PublishEvent(t.Context(), keyed("same", probe{"action": 1, "seq": 1, "note": "n"}))
		require.NoError(t, err)
		require.False(t, first.GetDeduplicated())
		again, err := ana.Events.PublishEvent(t.Context(), keyed("same", probe{"note": "n", "seq": "1", "action": "PROBE_ACTION_OK"}))
		require.NoError(t, err)
		require.True(t, again.GetDeduplicated())
		require.Equal(t, first.GetId(), again.GetId())
	})
	t.Run("OtherPayload", func(t *testing.T) {
		t.Parallel()
		_, err := ana.Events.PublishEvent(t.Context(), keyed("other", probe{"action": 1, "seq": 1}))
		require.NoError(t, err)
		otherType := request(t, "system.probed", probe{"seq": 1})
		otherType.IdempotencyKey = "other"
		for _, r := range []*eventv1.PublishEventRequest{keyed("other", probe{"action": 1, "seq": 2}), otherType} {
			_, err = ana.Events.PublishEvent(t.Context(), r)
			require.Equal(t, connect.CodeAlreadyExists, connect.CodeOf(err))
			require.Equal(t, "EVENT_KEY_REUSED", apptest.Detail(err).GetReason())
			require.Equal(t, "idempotency_key", apptest.Detail(err).GetViolations()[0].GetField())
		}
	})
	t.Run("RefusedEventTakesNoKey", func(t *testing.T) {
		t.Parallel()
		_, err := ana.Events.PublishEvent(t.Context(), keyed("refused", probe{"action": 99}))
		require.Error(t, err)
		response, err := ana.Events.PublishEvent(t.Context(), keyed("refused", probe{"action": 1}))
		require.NoError(t, err)
		require.False(t, response.GetDeduplicated())
	})
	t.Run("OtherOrganisation", func(t *testing.T) {
		t.Parallel()
		ours, err := ana.Events.PublishEvent(t.Context(), keyed("theirs", probe{"action": 1}))
		require.NoError(t, err)
		theirs, err := env.As(t, "greta@globex.example").Events.PublishEvent(t.Context(), keyed("theirs", probe{"action": 1, "seq": 7}))
		require.NoError(t, err)
		require.False(t, theirs.GetDeduplicated())
		require.NotEqual(t, ours.GetId(), theirs.GetId())
	})
	t.Run("TwentyAtOnce", func(t *testing.T) {
		t.Parallel()
		type answer struct {
			response *eventv1.PublishEventResponse
			err      error
		}
		const count = 20
		answers := make(chan answer)
		for range count {
			r := keyed("race", probe{"action": 1, "seq": 42})
			go func() {
				response, err := ana.Events.PublishEvent(t.Context(), r)
				answers <- answer{response, err}
			}()
		}
		ids, published := map[string]bool{}, 0
		for range count {
			a := <-answers
			require.NoError(t, a.err)
			ids[a.response.GetId()] = true
			if !a.response.GetDeduplicated() {
				published++
			}
		}
		require.Len(t, ids, 1)
		require.Equal(t, 1, published)
		require.Equal(t, int64(1), apptest.One[int64](t, admin, `SELECT count(*) FROM events WHERE payload ->> 'seq' = '42'`))
	})
}
