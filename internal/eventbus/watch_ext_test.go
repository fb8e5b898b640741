package eventbus_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
	"github.com/intime-solutions/intime/internal/eventbus"
)

const greta = "greta@globex.example"

// watcher is somebody who watches.
type watcher struct {
	stream *connect.ServerStreamForClient[eventv1.WatchEventsResponse]
	cancel context.CancelFunc
	token  string // of the last message
}

// watch begins to watch, and takes the message that the answer begins with.
func watch(t *testing.T, as apptest.Clients, request *eventv1.WatchEventsRequest) *watcher {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	w := &watcher{cancel: cancel}
	t.Cleanup(w.hangUp)
	var err error
	w.stream, err = as.Events.WatchEvents(ctx, request)
	require.NoError(t, err)
	require.Empty(t, w.receive(t))
	return w
}

// refused is the error with which a watch ends that does not begin.
func refused(t *testing.T, as apptest.Clients, request *eventv1.WatchEventsRequest) error {
	t.Helper()
	stream, err := as.Events.WatchEvents(t.Context(), request)
	require.NoError(t, err)
	defer func() { _ = stream.Close() }()
	require.False(t, stream.Receive(), "it began")
	require.Error(t, stream.Err())
	return stream.Err()
}

func (w *watcher) receive(t *testing.T) []*eventv1.Event {
	t.Helper()
	require.True(t, w.stream.Receive(), "%v", w.stream.Err())
	require.NotEmpty(t, w.stream.Msg().GetResumeToken())
	w.token = w.stream.Msg().GetResumeToken()
	return w.stream.Msg().GetEvents()
}

// await receives until one of the events stands there, and returns it.
func (w *watcher) await(t *testing.T, id string, status eventv1.EventStatus) *eventv1.Event {
	t.Helper()
	for {
		for _, e := range w.receive(t) {
			if e.GetId() == id && e.GetStatus() == status {
				return e
			}
		}
	}
}

// end receives until the watch ends, and returns why.
func (w *watcher) end() error {
	for w.stream.Receive() {
		continue
	}
	return w.stream.Err()
}

func (w *watcher) hangUp() {
	w.cancel()
	if w.stream != nil {
		_ = w.stream.Close()
	}
}

func all() *eventv1.WatchEventsRequest { return &eventv1.WatchEventsRequest{} }

func TestEventService_WatchEvents(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true})
	ana := env.As(t, "admin")
	before := publish(t, ana, "system.probe", probe{"action": 1})
	ana.Await(t, before, processed)
	w := watch(t, ana, all())

	id := publish(t, ana, "system.probe", probe{"action": 1, "seq": 7})
	event := w.await(t, id, processed)
	list, err := ana.Events.ListEvents(t.Context(), &eventv1.ListEventsRequest{Id: id})
	require.NoError(t, err)
	apptest.Equal(t, list.GetEvents()[0], event)
	require.Equal(t, "run_probe", event.GetDeliveries()[0].GetHandlerName())

	id = publish(t, ana, "system.probe", probe{"action": 2})
	require.Positive(t, w.await(t, id, failed).GetRetryCount())
	require.NotEmpty(t, w.await(t, id, deadLetter).GetErrorMessage())
	_, err = ana.Events.ReplayEvents(t.Context(), &eventv1.ReplayEventsRequest{Ids: []string{id}})
	require.NoError(t, err)
	require.True(t, w.await(t, id, deadLetter).GetMetadata().GetFields()["replayed"].GetBoolValue())
}

// What happened while nobody listened comes first, once, and what was there before not at all.
func TestEventService_WatchEvents_Resumes(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana, admin := env.As(t, "admin"), env.Admin(t)
	known := publish(t, ana, "system.probe", probe{"action": 1})
	w := watch(t, ana, all())
	seen := publish(t, ana, "system.probe", probe{"action": 1})
	w.await(t, seen, pending)
	w.hangUp()

	var missed []string
	for range 450 { // more than two pages
		missed = append(missed, publish(t, ana, "system.probe", probe{"action": 1}))
	}
	require.Equal(t, int64(1), setStatus(t, admin, known, "failed"))
	again := watch(t, ana, &eventv1.WatchEventsRequest{ResumeToken: w.token})
	var got []string
	for len(got) < len(missed)+1 {
		got = append(got, idsOf(again.receive(t))...)
	}
	require.Equal(t, append(slices.Clone(missed), known), got)

	// Each message has a token of its own: a client that was cut in the middle goes on there.
	again = watch(t, ana, &eventv1.WatchEventsRequest{ResumeToken: w.token})
	first := idsOf(again.receive(t))
	require.Less(t, len(first), len(missed))
	again.hangUp()
	again = watch(t, ana, &eventv1.WatchEventsRequest{ResumeToken: again.token})
	got = first
	for len(got) < len(missed)+1 {
		got = append(got, idsOf(again.receive(t))...)
	}
	require.Equal(t, append(slices.Clone(missed), known), got)
	// And nothing twice.
	last := publish(t, ana, "system.probe", probe{"action": 1})
	require.Equal(t, []string{last}, idsOf(again.receive(t)))
}

func TestEventService_WatchEvents_Filters(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana, admin := env.As(t, "admin"), env.Admin(t)
	types := watch(t, ana, &eventv1.WatchEventsRequest{Types: []string{"system.probed", "job.created"}})
	statuses := watch(t, ana, &eventv1.WatchEventsRequest{Statuses: []eventv1.EventStatus{failed, deadLetter}})
	both := watch(t, ana, &eventv1.WatchEventsRequest{Types: []string{"system.probe"}, Statuses: []eventv1.EventStatus{deadLetter}})

	aProbe := publish(t, ana, "system.probe", probe{"action": 1})
	aResult := publish(t, ana, "system.probed", map[string]any{})
	require.Equal(t, []string{aResult}, idsOf(types.receive(t)))
	setStatus(t, admin, aResult, "failed")
	require.Equal(t, []string{aResult}, idsOf(types.receive(t)))
	require.Equal(t, []string{aResult}, idsOf(statuses.receive(t)))
	setStatus(t, admin, aProbe, "processed")
	setStatus(t, admin, aResult, "dead_letter")
	require.Equal(t, []string{aResult}, idsOf(types.receive(t)))
	require.Equal(t, []string{aResult}, idsOf(statuses.receive(t)))
	setStatus(t, admin, aProbe, "dead_letter")
	require.Equal(t, []string{aProbe}, idsOf(statuses.receive(t)))
	require.Equal(t, []string{aProbe}, idsOf(both.receive(t)))

	// The order of the filters does not matter to the token, and neither does saying one twice.
	same := &eventv1.WatchEventsRequest{Types: []string{"job.created", "system.probed", "job.created"}, ResumeToken: types.token}
	watch(t, ana, same)
}

// An organisation's watchers see nothing of another's, not even that something happened there.
func TestEventService_WatchEvents_OtherOrganisation(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana, other := env.As(t, "admin"), env.As(t, greta)
	ours, theirs := watch(t, ana, all()), watch(t, other, all())
	for range 5 {
		mine := publish(t, ana, "system.probe", probe{"action": 1})
		require.Equal(t, []string{mine}, idsOf(ours.receive(t)))
		hers := publish(t, other, "system.probe", probe{"action": 1})
		require.Equal(t, []string{hers}, idsOf(theirs.receive(t)))
	}
	err := refused(t, other, &eventv1.WatchEventsRequest{ResumeToken: ours.token})
	require.Equal(t, eventbus.ReasonResumeToken, apptest.Detail(err).GetReason())
}

func TestEventService_WatchEvents_Heartbeat(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Change: func(c *app.Config) { c.Watch.Heartbeat = 20 * time.Millisecond }})
	ana := env.As(t, "admin")
	w := watch(t, ana, all())
	admin := env.Admin(t)
	first := w.token
	for range 3 {
		require.Empty(t, w.receive(t))
	}
	// The token follows the present although nothing happens here, so that it does not grow old.
	apptest.Exec(t, admin, `UPDATE organizations SET name = name`)
	for w.token == first {
		require.Empty(t, w.receive(t))
	}
	id := publish(t, ana, "system.probe", probe{"action": 1})
	w.await(t, id, pending)
}

// changed returns the token with one of its fields changed.
func changed(t *testing.T, token string, change func(fields map[string]any)) string {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(token)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(data, &fields))
	change(fields)
	data, err = json.Marshal(fields)
	require.NoError(t, err)
	return base64.RawURLEncoding.EncodeToString(data)
}

func TestEventService_WatchEvents_Refuses(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana := env.As(t, "admin")
	token := watch(t, ana, all()).token
	const huge = uint64(1 << 63)
	type r = eventv1.WatchEventsRequest
	for name, c := range map[string]struct {
		request *r
		field   string
	}{
		"NoToken":         {&r{ResumeToken: "x"}, "resume_token"},
		"NoJSON":          {&r{ResumeToken: base64.RawURLEncoding.EncodeToString([]byte("x"))}, "resume_token"},
		"HugeToken":       {&r{ResumeToken: strings.Repeat("x", 16385)}, "resume_token"},
		"OfOtherFilters":  {&r{ResumeToken: token, Types: []string{"job.created"}}, "resume_token"},
		"OfOtherStatuses": {&r{ResumeToken: token, Statuses: []eventv1.EventStatus{failed}}, "resume_token"},
		"NoSnapshot":      {&r{ResumeToken: changed(t, token, func(f map[string]any) { delete(f, "s") })}, "resume_token"},
		"HugeSnapshot":    {&r{ResumeToken: changed(t, token, func(f map[string]any) { f["s"] = []uint64{huge, huge} })}, "resume_token"},
		"UnsortedRunning": {&r{ResumeToken: changed(t, token, func(f map[string]any) { f["s"] = []int{9, 9, 5, 3} })}, "resume_token"},
		"RunningTooLate":  {&r{ResumeToken: changed(t, token, func(f map[string]any) { f["s"] = []int{9, 9, 9} })}, "resume_token"},
		"Version2":        {&r{ResumeToken: changed(t, token, func(f map[string]any) { f["v"] = 2 })}, "resume_token"},
		"EmptyType":       {&r{Types: []string{""}}, "types[0]"},
		"NoStatus":        {&r{Statuses: []eventv1.EventStatus{0}}, "statuses[0]"},
		"51Types":         {&r{Types: slices.Repeat([]string{"x"}, 51)}, "types"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := refused(t, ana, c.request)
			require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err), "%v", err)
			require.Len(t, apptest.Detail(err).GetViolations(), 1)
			require.Equal(t, c.field, apptest.Detail(err).GetViolations()[0].GetField())
			require.NotEmpty(t, apptest.Detail(err).GetRequestId())
		})
	}
	for name, old := range map[string]func(fields map[string]any){
		"Old":               func(f map[string]any) { f["t"] = f["t"].(float64) - 8*24*60*60 },
		"OfAnotherDatabase": func(f map[string]any) { f["s"] = []uint64{1 << 50, 1} },
		"OfAnotherLater":    func(f map[string]any) { f["u"] = []uint64{1 << 50, 1} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := refused(t, ana, &r{ResumeToken: changed(t, token, old)})
			require.Equal(t, connect.CodeFailedPrecondition, connect.CodeOf(err), "%v", err)
			require.Equal(t, eventbus.ReasonResumeExpired, apptest.Detail(err).GetReason())
		})
	}
	for _, role := range []string{"recruiter", "trainer", "student", "client"} {
		require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(refused(t, env.As(t, role), all())), "%s", role)
	}
	require.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(refused(t, env.As(t, ""), all())))
}

// A right that was taken away ends a watch with the answer that a new call would get, and what happens meanwhile is lost to
// nobody else, although the feed may have been reading with those very eyes.
func TestEventService_WatchEvents_Revoked(t *testing.T) {
	t.Parallel()
	const (
		me      = `(SELECT id FROM user_profiles WHERE email = 'ana@acme.example')`
		revoke  = `UPDATE user_roles SET revoked_at = now() WHERE user_id = ` + me
		suspend = `UPDATE organizations SET status = 'suspended' WHERE slug = 'acme'`
	)
	for name, c := range map[string]struct {
		takeAway string
		code     connect.Code
		reason   string
	}{
		"Role":         {revoke, connect.CodePermissionDenied, "PERMISSION_DENIED"},
		"Person":       {`UPDATE user_profiles SET is_active = false WHERE id = ` + me, connect.CodeUnauthenticated, "ACCOUNT_INACTIVE"},
		"Organisation": {suspend, connect.CodeUnauthenticated, "ACCOUNT_INACTIVE"},
		"AnotherRole": {
			`INSERT INTO user_roles (org_id, user_id, role_name)
				SELECT org_id, id, 'student' FROM user_profiles WHERE id = ` + me, connect.CodeUnavailable, "SESSION_CHANGED",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := apptest.New(t, apptest.Options{Change: func(c *app.Config) { c.Recheck = 50 * time.Millisecond }})
			admin := env.Admin(t)
			w := watch(t, env.As(t, "admin"), all())
			require.Equal(t, int64(1), apptest.Exec(t, admin, c.takeAway))
			err := w.end()
			require.Equal(t, c.code, connect.CodeOf(err), "%v", err)
			require.Equal(t, c.reason, apptest.Detail(err).GetReason())
		})
	}
	t.Run("OthersMissNothing", func(t *testing.T) {
		t.Parallel()
		// Nobody is checked again by himself: what the feed finds out has to be enough for the others.
		env := apptest.New(t, apptest.Options{Change: func(c *app.Config) { c.Recheck = time.Hour }})
		admin := env.Admin(t)
		var others []apptest.Clients
		for range 5 {
			id := uuid.New()
			apptest.Exec(t, admin, `
				WITH made AS (INSERT INTO user_profiles (id, org_id, email, full_name)
					SELECT $1::uuid, org_id, $1::uuid::text || '@acme.example', 'Another'
					FROM user_profiles WHERE email = 'ana@acme.example'
					RETURNING id, org_id)
				INSERT INTO user_roles (org_id, user_id, role_name) SELECT org_id, id, 'admin' FROM made`, id)
			token, _, err := env.App.Issuer().Token(id, time.Hour)
			require.NoError(t, err)
			others = append(others, env.WithToken(token))
		}
		ana := env.As(t, "admin")
		stays := watch(t, ana, all())
		for _, other := range others {
			watch(t, other, all())
		}
		apptest.Exec(t, admin, `
			UPDATE user_roles SET revoked_at = now() FROM user_profiles p WHERE p.id = user_id AND full_name = 'Another'`)
		for range 20 {
			id := publish(t, ana, "system.probe", probe{"action": 1})
			require.Equal(t, []string{id}, idsOf(stays.receive(t)))
		}
	})
}

// A server that stops ends its watches; they go on at the next one and have missed nothing.
func TestEventService_WatchEvents_Drains(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	w := watch(t, env.As(t, "admin"), all())
	env.Stop()
	// Its own words: a stream that was waited for until the grace period ended would have been cut off without any.
	err := w.end()
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err), "%v", err)
	require.Equal(t, "SERVER_RESTARTING", apptest.Detail(err).GetReason())

	next := env.Also(t, func(*app.Config) {})
	ana := next.As(t, "admin")
	id := publish(t, ana, "system.probe", probe{"action": 1})
	again := watch(t, ana, &eventv1.WatchEventsRequest{ResumeToken: w.token})
	require.Equal(t, []string{id}, idsOf(again.receive(t)))
}

// A server without workers hears at once of what it published, of what the workers of another process did, and of what was
// published at the database's own prompt, although it looks by itself once an hour.
func TestEventService_WatchEvents_OtherProcesses(t *testing.T) {
	t.Parallel()
	rarely := func(c *app.Config) { c.Watch.Interval = time.Hour }
	env := apptest.New(t, apptest.Options{Change: rarely})
	env.Also(t, func(c *app.Config) { c.Serve, c.Work = false, true })
	third := env.Also(t, func(*app.Config) {})
	ana, admin := env.As(t, "admin"), env.Admin(t)
	here, there := watch(t, ana, all()), watch(t, third.As(t, "admin"), all())
	apptest.Eventually(t, func() bool {
		return apptest.One[int](t, admin, `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database()
			AND query = 'LISTEN intime_events'`) == 3
	}, "not all processes listen")
	for range 3 {
		id := publish(t, ana, "system.probe", probe{"action": 1})
		for _, w := range []*watcher{here, there} {
			w.await(t, id, processed)
		}
	}
	person, _ := demo.Find("admin")
	tx, err := admin.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `
		SELECT set_config('request.jwt.claims', json_build_object('sub', $1::text, 'role', 'authenticated')::text, true),
			set_config('role', 'authenticated', true)`, person.ID())
	require.NoError(t, err)
	var id string
	require.NoError(t, tx.QueryRow(t.Context(), `SELECT publish_event('system.probe', '{"action":"PROBE_ACTION_OK"}')`).Scan(&id))
	require.NoError(t, tx.Commit(t.Context()))
	for _, w := range []*watcher{here, there} {
		w.await(t, id, processed)
	}
}
