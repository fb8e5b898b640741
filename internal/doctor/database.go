package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// longTransaction is from when on an open transaction stands in the way of the queue's vacuum.
const longTransaction = 5 * time.Minute

func checkSchema(ctx context.Context, d *doctor) (string, error) {
	return "current", d.api.CheckSchema(ctx)
}

// checkLogins makes sure that nothing the program logs in as can get around row level security.
func checkLogins(ctx context.Context, d *doctor) (string, error) {
	for _, db := range []*postgres.DB{d.api, d.worker} {
		var login, wrong string
		err := db.LoginRow(ctx, `
			WITH RECURSIVE reachable AS (
				SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user
				UNION
				SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN reachable r ON r.oid = m.member
			)
			SELECT session_user, coalesce(string_agg(r.rolname, ', '), '')
			FROM reachable JOIN pg_catalog.pg_roles r USING (oid)
			WHERE r.rolsuper OR r.rolbypassrls`, nil, &login, &wrong)
		if err != nil {
			return "", err
		}
		if wrong != "" {
			return "", fmt.Errorf("%s can act as %s, which row level security does not bind", login, wrong)
		}
	}
	return "neither can get around row level security", nil
}

func checkRowSecurity(ctx context.Context, d *doctor) (string, error) {
	var tables int
	var bare []string
	err := d.api.LoginRow(ctx, `
		SELECT count(*), array_agg(c.oid::regclass::text) FILTER (WHERE NOT (c.relrowsecurity AND c.relforcerowsecurity))
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND (n.nspname = 'partitions'
			OR n.nspname = 'public' AND EXISTS (SELECT FROM pg_catalog.pg_attribute a
				WHERE a.attrelid = c.oid AND a.attname = 'org_id' AND NOT a.attisdropped))`, nil, &tables, &bare)
	if err != nil {
		return "", err
	}
	if len(bare) > 0 {
		return "", fmt.Errorf("not enabled and forced on %s", strings.Join(bare, ", "))
	}
	return fmt.Sprintf("enabled and forced on all %d tables and partitions", tables), nil
}

func checkPartitions(ctx context.Context, d *doctor) (string, error) {
	var months int
	err := d.worker.LoginRow(ctx, `
		SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'partitions' AND c.relname ~ '^events_[0-9]{4}_[0-9]{2}$'
		  AND c.relname > 'events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')`, nil, &months)
	if err != nil {
		return "", err
	}
	if months == 0 {
		return "", errors.New("there is none for the coming month")
	}
	return fmt.Sprintf("made %d months ahead", months), nil
}

func checkClocks(ctx context.Context, d *doctor) (string, error) {
	skew, err := d.api.ClockSkew(ctx)
	if err != nil {
		return "", err
	}
	if skew.Abs() > postgres.MaxClockSkew {
		return "", fmt.Errorf("this machine's is %s ahead of the database's; at most %s is fine",
			skew.Round(time.Millisecond), postgres.MaxClockSkew)
	}
	return fmt.Sprintf("%s apart", skew.Abs().Round(time.Millisecond)), nil
}

func checkQueue(ctx context.Context, d *doctor) (string, error) {
	var waiting int
	var oldest time.Duration
	err := d.worker.LoginRow(ctx, `
		SELECT (SELECT count(*) FROM (SELECT FROM public.event_outbox LIMIT 10001) AS o),
			coalesce((SELECT max(clock_timestamp() - xact_start) FROM pg_catalog.pg_stat_activity
				WHERE datname = current_database() AND pid <> pg_backend_pid()), interval '0')`, nil, &waiting, &oldest)
	if err != nil {
		return "", err
	}
	if oldest > longTransaction {
		return "", fmt.Errorf("a transaction has been open for %s", oldest.Round(time.Second))
	}
	return fmt.Sprintf("%d events wait for the dispatcher", waiting), nil
}
