package eventbus_test

import (
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
)

// backdate makes an event and its deliveries that many days older; they get a new id, which it returns.
func backdate(t *testing.T, admin *pgx.Conn, id string, days int) (older string) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), admin, func(tx pgx.Tx) error {
		err := tx.QueryRow(t.Context(), `
			INSERT INTO events (id, org_id, type, payload, created_by, source, correlation_id, status, published_at)
			SELECT overlay(id::text PLACING left(app.uuid_v7_floor(now() - make_interval(days => $2))::text, 13) FROM 1)::uuid, org_id,
				type, payload, created_by, source, correlation_id, status, published_at - make_interval(days => $2)
			FROM events WHERE id = $1 RETURNING id::text`, id, days).Scan(&older)
		if err != nil {
			return err
		}
		for _, sql := range []string{
			`UPDATE event_deliveries SET event_id = $2, finished_at = finished_at - make_interval(days => $3) WHERE event_id = $1`,
			`DELETE FROM events WHERE id = $1 AND $2::text IS NOT NULL AND $3::integer > 0`,
			`DELETE FROM event_outbox WHERE event_id = $2::uuid AND $1::uuid IS NOT NULL AND $3::integer > 0`,
		} {
			if _, err := tx.Exec(t.Context(), sql, id, older, days); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	return older
}

// work runs workers beside the test's server.
func work(t *testing.T, env *apptest.Env) {
	t.Helper()
	env.Also(t, func(c *app.Config) { c.Work, c.Serve = true, false })
}

func TestRetention(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, ana, greta := env.Admin(t), env.As(t, "ana@acme.example"), env.As(t, "greta@globex.example")
	aged := func(person, status string, days int) string {
		return backdate(t, admin, arrange(t, admin, person, status, 1)[0], days)
	}
	// Ana keeps probes for 30 days, Greta everything for 1,000; the rest is kept for a year.
	days := &eventv1.UpdateEventSettingsRequest{TypeRetention: &eventv1.TypeRetention{Days: map[string]int32{"system.probe": 30}}}
	_, err := ana.EventSettings.UpdateEventSettings(t.Context(), days)
	require.NoError(t, err)
	_, err = greta.EventSettings.UpdateEventSettings(t.Context(), &eventv1.UpdateEventSettingsRequest{RetentionDays: new(int32(1000))})
	require.NoError(t, err)
	gone := []string{
		aged("ana@acme.example", "succeeded", 31), aged("ana@acme.example", "dead_letter", 31),
		aged("greta@globex.example", "succeeded", 1001),
	}
	half := aged("ana@acme.example", "dead_letter", 31) // another delivery of it still waits for its retry
	apptest.Exec(t, admin, `
		INSERT INTO event_deliveries (event_id, handler_name, org_id, max_attempts, status, next_attempt_at)
		SELECT id, 'waits', org_id, 3, 'failed', now() + interval '1 day' FROM events WHERE id = $1`, half)
	unsettled := aged("ana@acme.example", "failed", 400)
	apptest.Exec(t, admin, `UPDATE event_deliveries SET next_attempt_at = now() + interval '1 day' WHERE event_id = $1`, unsettled)
	kept := []string{half, unsettled, aged("ana@acme.example", "succeeded", 29), aged("greta@globex.example", "succeeded", 999)}
	otherType := aged("ana@acme.example", "succeeded", 300)
	apptest.Exec(t, admin, `UPDATE events SET type = 'system.probed' WHERE id = $1`, otherType)
	kept = append(kept, otherType)
	apptest.Exec(t, admin, `
		INSERT INTO event_idempotency_keys (org_id, key, event_id, payload_hash, created_at)
		SELECT org_id, k.key, id, '\x00', now() - make_interval(days => k.days) FROM events, (VALUES ('old', 31), ('new', 29)) k (key, days)
		WHERE id = $1`, half)
	apptest.Exec(t, admin, `
		INSERT INTO event_cascades (org_id, correlation_id) SELECT org_id, app.uuid_v7_floor(now() - make_interval(days => d))
		FROM events, unnest(ARRAY[1001, 10]) d WHERE id = $1`, half)

	work(t, env)
	remaining := func(ids []string) int {
		return apptest.One[int](t, admin, `SELECT count(*)::int FROM events WHERE id = ANY ($1)`, ids)
	}
	apptest.Eventually(t, func() bool {
		return remaining(gone) == 0 && apptest.One[int](t, admin, `SELECT count(*)::int FROM event_cascades`) == 1
	}, "the job did not run")
	require.Equal(t, len(kept), remaining(kept))
	require.Zero(t, apptest.One[int](t, admin, `SELECT count(*)::int FROM event_deliveries WHERE event_id = ANY ($1)`, gone))
	require.Equal(t, []string{"new"}, apptest.All[string](t, admin, `SELECT key FROM event_idempotency_keys`))
}

// A month that nobody keeps any more goes as a whole, unless something of it is not settled.
func TestRetention_Partitions(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin := env.Admin(t)
	month := func(ago int) time.Time {
		now := time.Now().UTC()
		return time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC).AddDate(0, -ago, 0)
	}
	for _, ago := range []int{14, 15, 11} {
		for _, table := range []string{"events", "event_deliveries", "event_attempts", "event_cascades"} {
			name := table + month(ago).Format("_2006_01")
			apptest.Exec(t, admin, `SET ROLE intime_owner`)
			var bounds []string
			for _, at := range []time.Time{month(ago), month(ago - 1)} {
				bounds = append(bounds, apptest.One[string](t, admin, `SELECT app.uuid_v7_floor($1)::text`, at))
			}
			apptest.Exec(t, admin, `CREATE TABLE partitions.`+name+` PARTITION OF public.`+table+
				` FOR VALUES FROM ('`+bounds[0]+`') TO ('`+bounds[1]+`')`)
			apptest.Exec(t, admin, `SELECT app.guard_partition('`+table+`', '`+name+`')`)
			apptest.Exec(t, admin, `RESET ROLE`)
		}
	}
	in := func(ago int, status string) string {
		days := int(time.Since(month(ago).AddDate(0, 0, 14)).Hours() / 24)
		return backdate(t, admin, arrange(t, admin, "ana@acme.example", status, 1)[0], days)
	}
	settled, waits, recent := in(15, "succeeded"), in(14, "failed"), in(11, "succeeded")
	apptest.Exec(t, admin, `UPDATE event_deliveries SET next_attempt_at = now() + interval '1 day' WHERE event_id = $1`, waits)
	partitions := func() string {
		return strings.Join(apptest.All[string](t, admin, `
			SELECT relname FROM pg_class WHERE relname ~ '^(events|event_deliveries|event_attempts|event_cascades)_\d' AND relkind = 'r'
				AND relname < 'events' || to_char(now(), '_YYYY_MM') ORDER BY relname`), " ")
	}
	require.Contains(t, partitions(), "events"+month(15).Format("_2006_01"))
	work(t, env)
	apptest.Eventually(t, func() bool { return !strings.Contains(partitions(), month(15).Format("_2006_01")) }, "the partitions stayed")
	require.Contains(t, partitions(), "events"+month(14).Format("_2006_01"), "something of it is not settled")
	require.Contains(t, partitions(), "event_deliveries"+month(14).Format("_2006_01"))
	require.Contains(t, partitions(), "events"+month(11).Format("_2006_01"), "it is still kept")
	require.Equal(t, []string{waits, recent},
		apptest.All[string](t, admin, `SELECT id::text FROM events WHERE id = ANY ($1) ORDER BY id`, []string{settled, waits, recent}))
	require.Zero(t, apptest.One[int](t, admin, `SELECT count(*)::int FROM event_deliveries WHERE event_id = $1`, settled))
}

func TestEventSettingsService(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	ana, greta := env.As(t, "ana@acme.example"), env.As(t, "greta@globex.example")
	get := func(as apptest.Clients) *eventv1.EventSettings {
		response, err := as.EventSettings.GetEventSettings(t.Context(), &eventv1.GetEventSettingsRequest{})
		require.NoError(t, err)
		return response.GetSettings()
	}
	update := func(r *eventv1.UpdateEventSettingsRequest) error {
		return second(ana.EventSettings.UpdateEventSettings(t.Context(), r))
	}
	defaults := &eventv1.EventSettings{NotifyOperators: true, RetentionDays: 365}
	requireSame(t, defaults, get(ana))
	require.NoError(t, update(&eventv1.UpdateEventSettingsRequest{NotifyOperators: new(false)}))
	require.NoError(t, update(&eventv1.UpdateEventSettingsRequest{
		RetentionDays: new(int32(7)), TypeRetention: &eventv1.TypeRetention{Days: map[string]int32{"job.created": 3650}},
	}))
	require.NoError(t, update(&eventv1.UpdateEventSettingsRequest{}), "nothing sent, nothing changed")
	requireSame(t, &eventv1.EventSettings{RetentionDays: 7, TypeRetentionDays: map[string]int32{"job.created": 3650}}, get(ana))
	requireSame(t, defaults, get(greta))
	require.NoError(t, update(&eventv1.UpdateEventSettingsRequest{TypeRetention: &eventv1.TypeRetention{}}))
	require.Empty(t, get(ana).GetTypeRetentionDays())
	admin, acme := env.Admin(t), demo.Organizations()[0].ID()
	require.Positive(t, apptest.One[int](t, admin, `
		SELECT count(*)::int FROM audit_logs WHERE action = 'organization.updated' AND record_id = $1`, acme.String()))

	for field, r := range map[string]*eventv1.UpdateEventSettingsRequest{
		"retention_days":      {RetentionDays: new(int32(6))},
		"type_retention.days": {TypeRetention: &eventv1.TypeRetention{Days: map[string]int32{"job.created": 3651}}},
	} {
		err := update(r)
		require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err), field)
		require.Equal(t, field, apptest.Detail(err).GetViolations()[0].GetField())
	}
	err := update(&eventv1.UpdateEventSettingsRequest{TypeRetention: &eventv1.TypeRetention{Days: map[string]int32{"no.such": 30}}})
	require.Equal(t, "type_retention.days", apptest.Detail(err).GetViolations()[0].GetField())
	require.ErrorContains(t, err, "no.such")
	_, err = env.As(t, "recruiter").EventSettings.GetEventSettings(t.Context(), &eventv1.GetEventSettingsRequest{})
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
}
