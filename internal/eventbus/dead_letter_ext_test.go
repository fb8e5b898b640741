package eventbus_test

import (
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

func keys(handler string, ids ...string) (all []*eventv1.DeliveryKey) {
	for _, id := range ids {
		all = append(all, &eventv1.DeliveryKey{EventId: id, HandlerName: handler})
	}
	return all
}

// listDead walks all pages and returns the dead letters as "event handler".
func listDead(t *testing.T, as apptest.Clients, r *eventv1.ListDeadLettersRequest) (all []string) {
	t.Helper()
	for range 100 {
		response, err := as.DeadLetters.ListDeadLetters(t.Context(), r)
		require.NoError(t, err)
		for _, d := range response.GetDeadLetters() {
			all = append(all, d.GetEventId()+" "+d.GetHandlerName())
		}
		if r.PageToken = response.GetNextPageToken(); r.GetPageToken() == "" {
			return all
		}
	}
	t.Fatal("the list does not end")
	return nil
}

func TestDeadLetterService_ListDeadLetters(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, ana := env.Admin(t), env.As(t, "ana@acme.example")
	dead := arrange(t, admin, "ana@acme.example", "dead_letter", 3)
	arrange(t, admin, "ana@acme.example", "succeeded", 2)
	theirs := arrange(t, admin, "greta@globex.example", "dead_letter", 1)
	// The second event has three of them: a page may end between two of one event.
	for _, handler := range []string{"another", "yet_another"} {
		apptest.Exec(t, admin, `
			INSERT INTO event_deliveries (event_id, handler_name, org_id, max_attempts, status, finished_at, error_message, reason)
			SELECT id, $2, org_id, 3, 'dead_letter', now(), '100%_Sure, no LUCK at all', 'attempts_exhausted' FROM events WHERE id = $1`,
			dead[1], handler)
	}
	everything := []string{
		dead[2] + " run_probe", dead[1] + " another", dead[1] + " run_probe", dead[1] + " yet_another", dead[0] + " run_probe",
	}
	for size := range int32(7) {
		require.Equal(t, everything, listDead(t, ana, &eventv1.ListDeadLettersRequest{PageSize: size}), "pages of %d", size)
	}
	require.Equal(t, []string{theirs[0] + " run_probe"},
		listDead(t, env.As(t, "greta@globex.example"), &eventv1.ListDeadLettersRequest{}), "another organisation has its own")
	in := func(wait time.Duration) *timestamppb.Timestamp { return timestamppb.New(time.Now().Add(wait)) }
	for name, c := range map[string]struct {
		by   *eventv1.ListDeadLettersRequest
		want []string
	}{
		"handler":      {&eventv1.ListDeadLettersRequest{HandlerName: "another"}, everything[1:2]},
		"type":         {&eventv1.ListDeadLettersRequest{EventType: "system.probe"}, everything},
		"another type": {&eventv1.ListDeadLettersRequest{EventType: "job.created"}, nil},
		"reason": {
			&eventv1.ListDeadLettersRequest{Reason: "permanent", EventType: "system.probe"},
			[]string{everything[0], everything[2], everything[4]},
		},
		"in time":       {&eventv1.ListDeadLettersRequest{PublishedAfter: in(-time.Hour), PublishedBefore: in(time.Hour)}, everything},
		"later":         {&eventv1.ListDeadLettersRequest{PublishedAfter: in(time.Hour)}, nil},
		"earlier":       {&eventv1.ListDeadLettersRequest{PublishedBefore: in(-time.Hour)}, nil},
		"error":         {&eventv1.ListDeadLettersRequest{Search: "sure, No luck"}, []string{everything[1], everything[3]}},
		"literally":     {&eventv1.ListDeadLettersRequest{Search: "100%_s"}, []string{everything[1], everything[3]}},
		"not as a mask": {&eventv1.ListDeadLettersRequest{Search: "1%%Sure"}, nil},
		"archived":      {&eventv1.ListDeadLettersRequest{Archived: true}, nil},
	} {
		c.by.PageSize = 2
		require.Equal(t, c.want, listDead(t, ana, c.by), name)
	}
	first, err := ana.DeadLetters.ListDeadLetters(t.Context(), &eventv1.ListDeadLettersRequest{PageSize: 1})
	require.NoError(t, err)
	_, err = ana.DeadLetters.ListDeadLetters(t.Context(), &eventv1.ListDeadLettersRequest{PageToken: first.GetNextPageToken(), Reason: "x"})
	require.Equal(t, "page_token", apptest.Detail(err).GetViolations()[0].GetField())
	_, err = env.As(t, "recruiter").DeadLetters.ListDeadLetters(t.Context(), &eventv1.ListDeadLettersRequest{})
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
}

func TestDeadLetterService_RetryDeadLetters(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin, ana := env.Admin(t), env.As(t, "ana@acme.example")
	dead := arrange(t, admin, "ana@acme.example", "dead_letter", 2)
	fine := arrange(t, admin, "ana@acme.example", "succeeded", 1)
	theirs := arrange(t, admin, "greta@globex.example", "dead_letter", 1)
	apptest.Exec(t, admin, `
		INSERT INTO event_deliveries (event_id, handler_name, org_id, max_attempts, status, finished_at)
		SELECT id, 'notify_matching_candidates', org_id, 3, 'dead_letter', now() FROM events WHERE id = $1`, dead[0])
	r := &eventv1.RetryDeadLettersRequest{DeadLetters: append(
		keys("run_probe", dead[0], dead[0], fine[0], theirs[0], uuid.NewString()), keys("none_such", dead[1])...)}
	response, err := ana.DeadLetters.RetryDeadLetters(t.Context(), r)
	require.NoError(t, err)
	require.EqualValues(t, 1, response.GetRetriedCount())
	require.EqualValues(t, 1, response.GetSkippedCount())
	require.EqualValues(t, 3, response.GetNotFoundCount())
	require.NotEmpty(t, response.GetReplayId())
	apptest.Eventually(t, func() bool {
		return apptest.One[string](t, admin, `SELECT status FROM event_deliveries WHERE event_id = $1 AND handler_name = 'run_probe'`,
			dead[0]) == "succeeded"
	}, "it did not run again")
	require.Equal(t, deadLetter, ana.Event(t, dead[0]).GetStatus(), "the other delivery is left as it was")
	require.Equal(t, deadLetter, ana.Event(t, dead[1]).GetStatus())
	require.Equal(t, "dead_letter", apptest.One[string](t, admin, `SELECT status FROM event_deliveries WHERE event_id = $1`, theirs[0]))
	again, err := ana.DeadLetters.RetryDeadLetters(t.Context(), &eventv1.RetryDeadLettersRequest{DeadLetters: keys("run_probe", dead[0])})
	require.NoError(t, err)
	require.EqualValues(t, 1, again.GetSkippedCount())
	require.Empty(t, again.GetReplayId())
	_, err = ana.DeadLetters.RetryDeadLetters(t.Context(), &eventv1.RetryDeadLettersRequest{DeadLetters: keys("", "x")})
	require.Len(t, apptest.Detail(err).GetViolations(), 2)
	_, err = ana.DeadLetters.RetryDeadLetters(t.Context(), &eventv1.RetryDeadLettersRequest{})
	require.Equal(t, "dead_letters", apptest.Detail(err).GetViolations()[0].GetField())
}

func TestDeadLetterService_DiscardDeadLetters(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, ana := env.Admin(t), env.As(t, "ana@acme.example")
	dead := arrange(t, admin, "ana@acme.example", "dead_letter", 2)
	fine := arrange(t, admin, "ana@acme.example", "succeeded", 1)
	theirs := arrange(t, admin, "greta@globex.example", "dead_letter", 1)
	const why = "The candidate has left the country."
	response, err := ana.DeadLetters.DiscardDeadLetters(t.Context(), &eventv1.DiscardDeadLettersRequest{
		Reason: why, DeadLetters: keys("run_probe", dead[0], dead[0], fine[0], theirs[0], uuid.NewString()),
	})
	require.NoError(t, err)
	require.EqualValues(t, 1, response.GetDiscardedCount())
	require.EqualValues(t, 1, response.GetSkippedCount())
	require.EqualValues(t, 2, response.GetNotFoundCount())
	event := ana.Event(t, dead[0])
	require.Equal(t, processed, event.GetStatus(), "discarded is ended")
	require.Equal(t, eventv1.DeliveryStatus_DELIVERY_STATUS_DISCARDED, event.GetDeliveries()[0].GetStatus())
	require.Equal(t, why, event.GetDeliveries()[0].GetReason())
	require.Equal(t, []string{dead[1] + " run_probe"}, listDead(t, ana, &eventv1.ListDeadLettersRequest{}))
	require.Equal(t, "dead_letter", apptest.One[string](t, admin, `SELECT status FROM event_deliveries WHERE event_id = $1`, theirs[0]))
	require.Equal(t, why, apptest.One[string](t, admin, `
		SELECT new_values ->> 'reason' FROM audit_logs
		WHERE action = 'event.discarded' AND record_id = $1 AND actor_id IS NOT NULL`, dead[0]))
	// A job that comes late finds nothing to do.
	require.Equal(t, "done", apptest.One[string](t, admin,
		`
		SELECT s.verdict FROM events e
		CROSS JOIN app.start_delivery(e.org_id, e.id, 'run_probe', gen_random_uuid(), '1 minute', 'w', 'v', NULL, NULL) s
		WHERE e.id = $1`, dead[0]))
	// Discarded is not failed, and everything is everything.
	again, err := ana.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Ids: dead[:1]})
	require.NoError(t, err)
	require.Zero(t, again.GetReplayedCount())
	again, err = ana.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Ids: dead[:1], Mode: modeEverything})
	require.NoError(t, err)
	require.EqualValues(t, 1, again.GetReplayedCount())

	for _, reason := range []string{"", "too short", "             ", fmt.Sprintf("%501s", "x")} {
		_, err := ana.DeadLetters.DiscardDeadLetters(t.Context(),
			&eventv1.DiscardDeadLettersRequest{Reason: reason, DeadLetters: keys("run_probe", dead[1])})
		require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err), "%q", reason)
		require.Equal(t, "reason", apptest.Detail(err).GetViolations()[0].GetField())
	}
	_, err = env.As(t, "recruiter").DeadLetters.DiscardDeadLetters(t.Context(),
		&eventv1.DiscardDeadLettersRequest{Reason: why, DeadLetters: keys("run_probe", dead[1])})
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
}

// What was given up more than 30 days ago is archived by a job that runs, and can still be replayed.
func TestDeadLetters_AreArchived(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, ana := env.Admin(t), env.As(t, "ana@acme.example")
	recent := arrange(t, admin, "ana@acme.example", "dead_letter", 1)[0]
	old := backdate(t, admin, arrange(t, admin, "ana@acme.example", "dead_letter", 1)[0], 31)
	replayed := backdate(t, admin, arrange(t, admin, "ana@acme.example", "dead_letter", 1)[0], 31)
	apptest.Exec(t, admin, `UPDATE event_deliveries SET finished_at = now() WHERE event_id = $1`, replayed)
	archive := &eventv1.ListDeadLettersRequest{Archived: true}
	require.Empty(t, listDead(t, ana, archive))
	work(t, env)
	apptest.Eventually(t, func() bool { return len(listDead(t, ana, archive)) == 1 }, "the job did not run")
	require.Equal(t, []string{old + " run_probe"}, listDead(t, ana, archive))
	require.ElementsMatch(t, []string{recent + " run_probe", replayed + " run_probe"}, listDead(t, ana, &eventv1.ListDeadLettersRequest{}))
	_, err := ana.DeadLetters.RetryDeadLetters(t.Context(), &eventv1.RetryDeadLettersRequest{DeadLetters: keys("run_probe", old)})
	require.NoError(t, err)
	ana.Await(t, old, processed)
}
