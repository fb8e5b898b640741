package eventbus_test

import (
	"slices"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
	"github.com/intime-solutions/intime/internal/eventbus"
)

const (
	modeMissing    = eventv1.ReplayMode_REPLAY_MODE_MISSING
	modeEverything = eventv1.ReplayMode_REPLAY_MODE_EVERYTHING

	replayPaused    = eventv1.ReplayStatus_REPLAY_STATUS_PAUSED
	replayRunning   = eventv1.ReplayStatus_REPLAY_STATUS_RUNNING
	replayCompleted = eventv1.ReplayStatus_REPLAY_STATUS_COMPLETED
	replayAborted   = eventv1.ReplayStatus_REPLAY_STATUS_ABORTED
)

// arrange makes probes of the person, which would succeed, with a delivery that stands there; oldest first.
func arrange(t *testing.T, admin *pgx.Conn, person, status string, count int) []string {
	t.Helper()
	p, ok := demo.Find(person)
	require.True(t, ok)
	eventStatus := map[string]string{"succeeded": "processed", "skipped": "processed", "": "processed"}[status]
	if eventStatus == "" {
		eventStatus = status
	}
	var ids []string
	err := pgx.BeginFunc(t.Context(), admin, func(tx pgx.Tx) error {
		rows, err := tx.Query(t.Context(), `
			INSERT INTO events (org_id, type, payload, created_by, source, correlation_id, status)
			SELECT $1, 'system.probe', '{"action": "PROBE_ACTION_OK"}', $2, 'api', app.uuid_v7(), $3 FROM generate_series(1, $4)
			RETURNING id::text`, p.Organization.ID(), p.ID(), eventStatus, count)
		if err != nil {
			return err
		}
		if ids, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return err
		}
		slices.Sort(ids)
		if _, err := tx.Exec(t.Context(), `DELETE FROM event_outbox WHERE event_id = ANY ($1)`, ids); err != nil || status == "" {
			return err
		}
		_, err = tx.Exec(t.Context(), `
			INSERT INTO event_deliveries (event_id, handler_name, org_id, max_attempts, status, attempt_count, run_count, started_at,
				finished_at, error_message, reason)
			SELECT id, 'run_probe', $2, 3, $3, 1, 1, now(), clock_timestamp(), CASE WHEN $3 = 'dead_letter' THEN 'no luck' END,
				CASE $3 WHEN 'dead_letter' THEN 'permanent' WHEN 'skipped' THEN 'handler_disabled' END
			FROM unnest($1::uuid[]) AS e (id)`, ids, p.Organization.ID(), status)
		return err
	})
	require.NoError(t, err)
	return ids
}

func preview(t *testing.T, as apptest.Clients, r *eventv1.PreviewReplayRequest) *eventv1.PreviewReplayResponse {
	t.Helper()
	response, err := as.Events.PreviewReplay(t.Context(), r)
	require.NoError(t, err)
	return response
}

func probes() *eventv1.EventFilter { return &eventv1.EventFilter{Types: []string{"system.probe"}} }

func getReplay(t *testing.T, as apptest.Clients, id string) *eventv1.Replay {
	t.Helper()
	response, err := as.Events.GetReplay(t.Context(), &eventv1.GetReplayRequest{Id: id})
	require.NoError(t, err)
	return response.GetReplay()
}

func TestEventService_PreviewReplay(t *testing.T) { //nolint:tparallel // the parts follow one another on one set of events
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, ana, greta := env.Admin(t), env.As(t, "ana@acme.example"), env.As(t, "greta@globex.example")
	dead := arrange(t, admin, "ana@acme.example", "dead_letter", 12)
	fine := arrange(t, admin, "ana@acme.example", "succeeded", 1)
	running := arrange(t, admin, "ana@acme.example", "pending", 1)
	theirs := arrange(t, admin, "greta@globex.example", "dead_letter", 1)
	apptest.Exec(t, admin, `
		INSERT INTO event_deliveries (event_id, handler_name, org_id, max_attempts, status)
		SELECT id, 'a_former_handler', org_id, 3, 'dead_letter' FROM events WHERE id = $1`, dead[0])

	found := preview(t, ana, &eventv1.PreviewReplayRequest{
		Ids: append([]string{fine[0], running[0], theirs[0], uuid.NewString()}, dead...),
	})
	require.EqualValues(t, 12, found.GetEventCount())
	require.EqualValues(t, 12, found.GetDeliveryCount())
	require.EqualValues(t, 2, found.GetNotFoundCount(), "another organisation's event is not found")
	require.False(t, found.GetTruncated())
	require.NotNil(t, found.GetExpiresAt())
	require.Len(t, found.GetHandlers(), 2)
	requireSame(t, &eventv1.HandlerPreview{HandlerName: "run_probe", DeliveryCount: 12, SucceededCount: 1}, found.GetHandlers()[1])
	require.Len(t, found.GetBlocked(), 2)
	requireSame(t, &eventv1.BlockedDeliveries{
		HandlerName: "a_former_handler", Reason: "handler_unknown", DeliveryCount: 1,
	}, found.GetBlocked()[0])
	requireSame(t, &eventv1.BlockedDeliveries{HandlerName: "run_probe", Reason: "in_progress", DeliveryCount: 1}, found.GetBlocked()[1])
	require.Len(t, found.GetSample(), 10)
	require.Equal(t, eventv1.DeliveryStatus_DELIVERY_STATUS_DEAD_LETTER, found.GetSample()[0].GetStatus())
	require.Equal(t, eventv1.ReplayStatus_REPLAY_STATUS_PREVIEWED, getReplay(t, ana, found.GetToken()).GetStatus())
	listed, err := ana.Events.ListReplays(t.Context(), &eventv1.ListReplaysRequest{})
	require.NoError(t, err)
	require.Empty(t, listed.GetReplays(), "nobody has started it")

	// Nothing has been set back yet, and a token is its organisation's own.
	require.Equal(t, deadLetter, ana.Event(t, dead[0]).GetStatus())
	for _, token := range []string{found.GetToken(), uuid.NewString()} {
		_, err := greta.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Token: token})
		require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
		require.Equal(t, eventbus.ReasonReplayNotFound, apptest.Detail(err).GetReason())
	}

	t.Run("Disabled", func(t *testing.T) {
		_, err := greta.Handlers.DisableEventHandler(t.Context(),
			&eventv1.DisableEventHandlerRequest{Name: "run_probe", Reason: "It is to be looked at."})
		require.NoError(t, err)
		found := preview(t, greta, &eventv1.PreviewReplayRequest{Filter: probes()})
		require.Empty(t, found.GetToken(), "there is nothing to run")
		require.Equal(t, "handler_disabled", found.GetBlocked()[0].GetReason())
	})
	t.Run("Expired", func(t *testing.T) {
		found := preview(t, ana, &eventv1.PreviewReplayRequest{Filter: probes()})
		require.EqualValues(t, 12, found.GetDeliveryCount())
		require.Zero(t, found.GetNotFoundCount())
		apptest.Exec(t, admin, `UPDATE event_replays SET expires_at = now() WHERE id = $1`, found.GetToken())
		_, err := ana.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Token: found.GetToken()})
		require.Equal(t, connect.CodeFailedPrecondition, connect.CodeOf(err))
		require.Equal(t, eventbus.ReasonReplayExpired, apptest.Detail(err).GetReason())
	})
	t.Run("Refused", func(t *testing.T) {
		for field, r := range map[string]*eventv1.PreviewReplayRequest{
			"ids":    {},
			"filter": {Filter: &eventv1.EventFilter{Id: "x"}},
			"ids[0]": {Ids: []string{"x"}},
			"mode":   {Ids: dead[:1], Mode: 9},
		} {
			_, err := ana.Events.PreviewReplay(t.Context(), r)
			require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err), field)
			require.Equal(t, field, apptest.Detail(err).GetViolations()[0].GetField())
		}
		_, err := ana.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Token: found.GetToken(), Ids: dead[:1]})
		require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
		_, err = ana.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Token: found.GetToken(), Mode: modeMissing})
		require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
		_, err = env.As(t, "recruiter").Events.PreviewReplay(t.Context(), &eventv1.PreviewReplayRequest{Ids: dead[:1]})
		require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	})
}

func requireSame(t *testing.T, want, got proto.Message) {
	t.Helper()
	require.True(t, proto.Equal(want, got), "want %s, got %s", want, got)
}

func TestEventService_ReplayEvents_OneTokenTwice(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin, ana := env.Admin(t), env.As(t, "ana@acme.example")
	dead := arrange(t, admin, "ana@acme.example", "dead_letter", 3)
	token := preview(t, ana, &eventv1.PreviewReplayRequest{Filter: probes()}).GetToken()

	var callers sync.WaitGroup
	answers := make([]*eventv1.ReplayEventsResponse, 2)
	for i := range answers {
		callers.Go(func() {
			response, err := ana.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Token: token})
			if err != nil {
				t.Error(err)
			}
			answers[i] = response
		})
	}
	callers.Wait()
	for _, answer := range answers {
		require.EqualValues(t, 3, answer.GetReplayedCount())
		require.Equal(t, token, answer.GetReplay().GetId())
		require.Equal(t, replayCompleted, answer.GetReplay().GetStatus())
	}
	for _, id := range dead {
		event := ana.Await(t, id, processed)
		require.Equal(t, true, event.GetMetadata().AsMap()["replayed"])
		runs := apptest.One[int](t, admin, `SELECT run_count FROM event_deliveries WHERE event_id = $1`, id)
		require.Equal(t, 2, runs, "it ran once more")
	}
	again, err := ana.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Token: token})
	require.NoError(t, err)
	require.Equal(t, token, again.GetReplay().GetId())
	require.Equal(t, 3, apptest.One[int](t, admin, `SELECT count(*)::int FROM audit_logs WHERE action = 'event.replayed'`))
	now := getReplay(t, ana, token)
	require.EqualValues(t, 3, now.GetSucceededCount())
	require.Equal(t, "Ana Admin", now.GetStartedByName())
	require.Equal(t, []string{"system.probe"}, now.GetFilter().GetTypes())
	listed, err := ana.Events.ListReplays(t.Context(), &eventv1.ListReplaysRequest{})
	require.NoError(t, err)
	require.Len(t, listed.GetReplays(), 1)
	listed, err = env.As(t, "greta@globex.example").Events.ListReplays(t.Context(), &eventv1.ListReplaysRequest{})
	require.NoError(t, err)
	require.Empty(t, listed.GetReplays())
}

// A large set runs as a job, batch after batch.
func TestEventService_ReplayEvents_Large(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin, ana := env.Admin(t), env.As(t, "ana@acme.example")
	arrange(t, admin, "ana@acme.example", "dead_letter", 1100)
	theirs := arrange(t, admin, "greta@globex.example", "dead_letter", 1)
	found := preview(t, ana, &eventv1.PreviewReplayRequest{Filter: probes()})
	require.EqualValues(t, 1100, found.GetEventCount())
	require.Equal(t, []int32{500, 500, 100}, apptest.All[int32](t, admin,
		`SELECT cardinality(event_ids) FROM event_replay_batches WHERE replay_id = $1 ORDER BY number`, found.GetToken()))
	started, err := ana.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Token: found.GetToken()})
	require.NoError(t, err)
	require.Equal(t, replayRunning, started.GetReplay().GetStatus())
	apptest.Eventually(t, func() bool { return getReplay(t, ana, found.GetToken()).GetSucceededCount() == 1100 }, "the replay did not end")
	now := getReplay(t, ana, found.GetToken())
	require.Equal(t, replayCompleted, now.GetStatus())
	require.EqualValues(t, 1100, now.GetReplayedCount())
	require.Zero(t, now.GetRemainingCount())
	require.Equal(t, deadLetter, env.As(t, "greta@globex.example").Event(t, theirs[0]).GetStatus())
}

// runBatch does what a job's turn does, as Ana.
func runBatch(t *testing.T, env *apptest.Env, id string) (verdict string) {
	t.Helper()
	ana, _ := demo.Find("ana@acme.example")
	err := pgx.BeginFunc(t.Context(), env.Admin(t), func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `SELECT set_config('request.jwt.claims', $1, true), set_config('role', 'authenticated', true)`,
			`{"sub":"`+ana.ID().String()+`"}`)
		if err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), `SELECT app.run_replay_batch($1)`, id).Scan(&verdict)
	})
	require.NoError(t, err)
	return verdict
}

func TestEventService_SteerReplay(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{}) // without workers
	admin, ana := env.Admin(t), env.As(t, "ana@acme.example")
	arrange(t, admin, "ana@acme.example", "dead_letter", 1100)
	token := preview(t, ana, &eventv1.PreviewReplayRequest{Filter: probes()}).GetToken()
	_, err := ana.Events.PauseReplay(t.Context(), &eventv1.PauseReplayRequest{Id: token})
	require.Equal(t, eventbus.ReasonReplayState, apptest.Detail(err).GetReason(), "it does not run yet")
	_, err = ana.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Token: token})
	require.NoError(t, err)

	paused, err := ana.Events.PauseReplay(t.Context(), &eventv1.PauseReplayRequest{Id: token})
	require.NoError(t, err)
	require.Equal(t, replayPaused, paused.GetReplay().GetStatus())
	require.Equal(t, "stopped", runBatch(t, env, token))
	_, err = env.As(t, "greta@globex.example").Events.AbortReplay(t.Context(), &eventv1.AbortReplayRequest{Id: token})
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err), "another organisation's replay")
	resumed, err := ana.Events.ResumeReplay(t.Context(), &eventv1.ResumeReplayRequest{Id: token})
	require.NoError(t, err)
	require.Equal(t, replayRunning, resumed.GetReplay().GetStatus())

	require.Equal(t, "more", runBatch(t, env, token))
	require.Equal(t, "wait", runBatch(t, env, token), "one batch is under way at a time")
	now := getReplay(t, ana, token)
	require.EqualValues(t, 500, now.GetReplayedCount())
	require.EqualValues(t, 500, now.GetUnfinishedCount())
	require.EqualValues(t, 600, now.GetRemainingCount())

	// Aborted in the middle: what was set back runs, the rest stays.
	aborted, err := ana.Events.AbortReplay(t.Context(), &eventv1.AbortReplayRequest{Id: token})
	require.NoError(t, err)
	require.Equal(t, replayAborted, aborted.GetReplay().GetStatus())
	env.Also(t, func(c *app.Config) { c.Work, c.Serve = true, false })
	apptest.Eventually(t, func() bool { return getReplay(t, ana, token).GetSucceededCount() == 500 }, "the first batch did not run")
	require.Equal(t, 600, apptest.One[int](t, admin, `SELECT count(*)::int FROM events WHERE status = 'dead_letter'`))
	require.Equal(t, replayAborted, getReplay(t, ana, token).GetStatus())
	for _, refused := range []error{
		second(ana.Events.ResumeReplay(t.Context(), &eventv1.ResumeReplayRequest{Id: token})),
		second(ana.Events.PauseReplay(t.Context(), &eventv1.PauseReplayRequest{Id: token})),
	} {
		require.Equal(t, connect.CodeFailedPrecondition, connect.CodeOf(refused))
	}
}

func second[T any](_ T, err error) error { return err }

// Who starts a replay and then loses his rights, replays no further.
func TestEventService_ReplayEvents_StarterGone(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{}) // without workers
	admin, ana, sue := env.Admin(t), env.As(t, "ana@acme.example"), env.As(t, "sue@acme.example")
	arrange(t, admin, "ana@acme.example", "dead_letter", 501)
	token := preview(t, ana, &eventv1.PreviewReplayRequest{Filter: probes()}).GetToken()
	_, err := sue.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Token: token})
	require.NoError(t, err)
	apptest.Exec(t, admin, `UPDATE user_profiles SET is_active = false WHERE email = 'sue@acme.example'`)
	env.Also(t, func(c *app.Config) { c.Work, c.Serve = true, false })
	apptest.Eventually(t, func() bool {
		return getReplay(t, ana, token).GetStatus() == eventv1.ReplayStatus_REPLAY_STATUS_FAILED
	}, "the replay went on")
	require.Zero(t, getReplay(t, ana, token).GetReplayedCount())
	require.NotEmpty(t, getReplay(t, ana, token).GetErrorMessage())
}

func TestEventService_ReplayEvents_Modes(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	ana := env.As(t, "ana@acme.example")

	t.Run("FailedLeavesWhatIsMissing", func(t *testing.T) {
		t.Parallel()
		own := apptest.New(t, apptest.Options{Work: true})
		conn, ana := own.Admin(t), own.As(t, "ana@acme.example")
		id := arrange(t, conn, "ana@acme.example", "dead_letter", 1)[0]
		// A handler that subscribed after the event had been dispatched.
		apptest.Exec(t, conn, `INSERT INTO app.event_handlers VALUES ('newcomer', 'system.probe', 'f', 3)`)
		apptest.Exec(t, conn, `
			INSERT INTO event_subscriptions (org_id, event_type, handler_name, handler_function)
			SELECT id, 'system.probe', 'newcomer', 'f' FROM organizations`)
		response, err := ana.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Ids: []string{id}})
		require.NoError(t, err)
		require.EqualValues(t, 1, response.GetReplayedCount())
		ana.Await(t, id, processed)
		require.Equal(t, []string{"run_probe"},
			apptest.All[string](t, conn, `SELECT handler_name FROM event_deliveries WHERE event_id = $1`, id))
	})

	t.Run("SkippedAndMissing", func(t *testing.T) {
		t.Parallel()
		conn := env.Admin(t)
		skipped := arrange(t, conn, "ana@acme.example", "skipped", 1)[0]
		missing := arrange(t, conn, "ana@acme.example", "", 1)[0]
		dead := arrange(t, conn, "ana@acme.example", "dead_letter", 1)[0]
		ids := []string{skipped, missing, dead}
		response, err := ana.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Ids: ids, Mode: modeMissing})
		require.NoError(t, err)
		require.EqualValues(t, 2, response.GetReplayedCount())
		require.EqualValues(t, 1, response.GetSkippedCount())
		for _, id := range ids[:2] {
			require.Equal(t, "run_probe", ana.Await(t, id, processed).GetDeliveries()[0].GetHandlerName())
			apptest.Eventually(t, func() bool {
				return ana.Event(t, id).GetDeliveries()[0].GetStatus() == eventv1.DeliveryStatus_DELIVERY_STATUS_SUCCEEDED
			}, "it did not run")
		}
		require.Equal(t, deadLetter, ana.Event(t, dead).GetStatus())
	})

	t.Run("Everything", func(t *testing.T) {
		t.Parallel()
		id := publish(t, ana, "system.probe", probe{"action": "PROBE_ACTION_OK"})
		ana.Await(t, id, processed)
		conn := env.Admin(t)
		runs := func() int {
			return apptest.One[int](t, conn, `SELECT run_count FROM event_deliveries WHERE event_id = $1 AND status = 'succeeded'
				UNION ALL SELECT 0 LIMIT 1`, id)
		}
		for _, mode := range []eventv1.ReplayMode{0, modeMissing} {
			response, err := ana.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Ids: []string{id}, Mode: mode})
			require.NoError(t, err)
			require.Zero(t, response.GetReplayedCount(), "%s", mode)
		}
		response, err := ana.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Ids: []string{id}, Mode: modeEverything})
		require.NoError(t, err)
		require.EqualValues(t, 1, response.GetReplayedCount())
		apptest.Eventually(t, func() bool { return runs() == 2 }, "it did not run again")
		require.Equal(t, 1, apptest.One[int](t, conn, `
			SELECT count(*)::int FROM event_attempts WHERE event_id = $1 AND number = 1 AND outcome = 'succeeded'`, id),
			"the attempt that succeeded first is kept")
	})

	t.Run("EverythingNeedsItsPermission", func(t *testing.T) {
		t.Parallel()
		own := apptest.New(t, apptest.Options{})
		conn := own.Admin(t)
		id := arrange(t, conn, "ana@acme.example", "succeeded", 1)[0]
		token := preview(t, own.As(t, "ana@acme.example"),
			&eventv1.PreviewReplayRequest{Ids: []string{id}, Mode: modeEverything}).GetToken()
		require.NotEmpty(t, token)
		apptest.Exec(t, conn, `DELETE FROM role_permissions WHERE permission_name = 'event:replay_all' AND role_name = 'admin'`)
		lesser := own.As(t, "ana@acme.example")
		byIDs := &eventv1.ReplayEventsRequest{Ids: []string{id}, Mode: modeEverything}
		looking := &eventv1.PreviewReplayRequest{Filter: probes(), Mode: modeEverything}
		for name, err := range map[string]error{
			"by ids":  second(lesser.Events.ReplayEvents(t.Context(), byIDs)),
			"looking": second(lesser.Events.PreviewReplay(t.Context(), looking)),
			"a token": second(lesser.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Token: token})),
		} {
			require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err), name)
			require.ErrorContains(t, err, "event:replay_all", name)
		}
		require.Equal(t, "succeeded", apptest.One[string](t, conn, `SELECT status FROM event_deliveries WHERE event_id = $1`, id))
	})
}
