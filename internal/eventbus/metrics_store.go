package eventbus

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// books is what the database says about the bus as a whole, over all organisations.
type books struct {
	events        map[string]int64 // by status
	oldestPending float64          // in seconds
	outbox        int64
	xminAge       int64
	defaultRows   map[string]int64 // by table
	deadRows      map[string]int64 // by table
	countedAge    float64          // in seconds
	workers       int64
}

// readBooks asks for them. Each organisation's part walks an index, for tallyLimit entries at most.
func readBooks(ctx context.Context, db *postgres.DB) (*books, error) {
	b := &books{events: map[string]int64{}, defaultRows: map[string]int64{}, deadRows: map[string]int64{}}
	err := db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := b.readEvents(ctx, tx); err != nil {
			return fmt.Errorf("count events: %w", err)
		}
		if err := b.readServer(ctx, tx); err != nil {
			return fmt.Errorf("ask the server: %w", err)
		}
		return nil
	})
	return b, err
}

func (b *books) readEvents(ctx context.Context, tx *postgres.Tx) error {
	rows, err := tx.Query(ctx, `
		SELECT s.status, coalesce(sum(n.count), 0)::bigint
		FROM unnest(ARRAY['pending', 'failed', 'dead_letter']) AS s (status)
		CROSS JOIN public.organizations o
		CROSS JOIN LATERAL (
			SELECT count(*) FROM (SELECT FROM public.events e WHERE e.org_id = o.id AND e.status = s.status LIMIT $1) AS e) n
		GROUP BY s.status`, tallyLimit)
	if err != nil {
		return err
	}
	if err := collectCounts(rows, b.events); err != nil {
		return err
	}
	// The events of a suspended organisation wait on purpose.
	return tx.QueryRow(ctx, `
		SELECT coalesce((
				SELECT extract(epoch FROM clock_timestamp() - min(e.published_at)) FROM public.organizations o CROSS JOIN LATERAL (
					SELECT v.published_at FROM public.events v WHERE v.org_id = o.id AND v.status = 'pending' ORDER BY v.id LIMIT 1) e
				WHERE o.status = 'active' AND o.deleted_at IS NULL), 0)::float8,
			(SELECT count(*) FROM (SELECT FROM public.event_outbox LIMIT $1) AS o),
			(SELECT coalesce(extract(epoch FROM now() - counted_until), 0) FROM app.event_rollup_state)::float8,
			(SELECT count(*) FROM app.event_workers WHERE seen_at > now() - $2::interval)`, 10*tallyLimit, presentFor).
		Scan(&b.oldestPending, &b.outbox, &b.countedAge, &b.workers)
}

func (b *books) readServer(ctx context.Context, tx *postgres.Tx) error {
	// What others' sessions hold back is hidden from a login without pg_read_all_stats; what writes, and what replication
	// holds, is not.
	err := tx.QueryRow(ctx, `
		SELECT greatest(
			(SELECT max(age(backend_xmin)) FROM pg_catalog.pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()),
			(SELECT max(greatest(age(xmin), age(catalog_xmin))) FROM pg_catalog.pg_replication_slots),
			(SELECT max(age(transaction)) FROM pg_catalog.pg_prepared_xacts),
			(pg_catalog.pg_snapshot_xmax(s)::text::numeric - pg_catalog.pg_snapshot_xmin(s)::text::numeric)::bigint, 0)
		FROM pg_catalog.pg_current_snapshot() AS s`).Scan(&b.xminAge)
	if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
		SELECT p.relname, pg_catalog.pg_stat_get_live_tuples(c.oid)
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'partitions' AND c.relkind = 'r' AND c.relname = p.relname || '_default'`)
	if err != nil {
		return err
	}
	if err := collectCounts(rows, b.defaultRows); err != nil {
		return err
	}
	rows, err = tx.Query(ctx, `
		SELECT c.relname, pg_catalog.pg_stat_get_dead_tuples(c.oid)
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND (n.nspname, c.relname) IN (('public', 'event_outbox'), ('river', 'river_job'))`)
	if err != nil {
		return err
	}
	return collectCounts(rows, b.deadRows)
}

func collectCounts(rows pgx.Rows, into map[string]int64) error {
	var name string
	var n int64
	_, err := pgx.ForEachRow(rows, []any{&name, &n}, func() error {
		into[name] = n
		return nil
	})
	return err
}

func (b *books) metrics() []prometheus.Metric {
	all := []prometheus.Metric{
		gauge("intime_event_oldest_pending_seconds",
			"The age of the oldest event that waits for a handler, without suspended organisations.", b.oldestPending),
		gauge("intime_event_outbox_events", "The events that no dispatcher has taken, up to 100,000.", float64(b.outbox)),
		gauge("intime_event_workers", "The programs that handle events.", float64(b.workers)),
		gauge("intime_event_rollups_age_seconds", "How far the statistics are behind.", b.countedAge),
		gauge("intime_database_oldest_xmin_age_transactions",
			"How many transactions ago the oldest snapshot was taken that this login can see: dead rows pile up behind it.",
			float64(b.xminAge)),
	}
	for _, status := range slices.Sorted(maps.Keys(b.events)) {
		all = append(all, gauge("intime_events", "The events that have not ended well, up to 10,000 of each organisation.",
			float64(b.events[status]), "status", status))
	}
	for _, table := range slices.Sorted(maps.Keys(b.defaultRows)) {
		all = append(all, gauge("intime_default_partition_rows",
			"The rows in a default partition, as the server's statistics have it: there should be none.",
			float64(b.defaultRows[table]), "table", table))
	}
	for _, table := range slices.Sorted(maps.Keys(b.deadRows)) {
		all = append(all, gauge("intime_queue_dead_rows", "The dead rows of a queue's table, as the server's statistics have it.",
			float64(b.deadRows[table]), "table", table))
	}
	return all
}
