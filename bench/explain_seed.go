package main

import (
	"context"
	"fmt"
)

// Events and jobs of ninety days, evenly. Every %d is how many.
//
//	types      job.created 40 %, user.created 30 %, candidate.placed 20 %, course.graduated 9.9 %, system.probe 0.1 %;
//	           the oldest 1 % are candidate.imported, which nobody publishes any more
//	states     97 % processed, 2 % pending, 0.9 % failed, 0.1 % dead_letter
//	tenants    ten of equal size, and the small one, which has twenty events and twenty jobs
//	deliveries one for each handler of the type; a thousandth also of seldom_handler, the oldest 1 % also of retired_handler
const (
	// explainPartitions makes the partitions of the past, which app.make_partitions does not.
	explainPartitions = `
		DO $$
		DECLARE
			parent text;
			month  timestamp;
		BEGIN
			FOR parent IN SELECT name FROM app.partitioned_tables LOOP
				FOR back IN 1..3 LOOP
					month := date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => back);
					EXECUTE format('CREATE TABLE partitions.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)',
						parent || to_char(month, '_YYYY_MM'), parent, app.uuid_v7_floor(month AT TIME ZONE 'UTC'),
						app.uuid_v7_floor((month + interval '1 month') AT TIME ZONE 'UTC'));
					EXECUTE format('ALTER TABLE partitions.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
						parent || to_char(month, '_YYYY_MM'));
				END LOOP;
			END LOOP;
		END
		$$`
	explainIDs = `
		CREATE FUNCTION pg_temp.tenant(i bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
			RETURN CASE WHEN i %% (%[1]d / 20) = 0 THEN 10 ELSE i %% 10 END;
		CREATE FUNCTION pg_temp.org(i bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
			RETURN ('00000000-0000-7000-8000-0000000001' || lpad(pg_temp.tenant(i)::text, 2, '0'))::uuid;
		CREATE FUNCTION pg_temp.person(i bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
			RETURN ('00000000-0000-7000-8000-0000000002' || lpad(pg_temp.tenant(i)::text, 2, '0'))::uuid;
		CREATE FUNCTION pg_temp.at(i bigint) RETURNS timestamptz LANGUAGE sql STABLE
			RETURN now() - interval '90 days' * ((%[1]d - i)::float8 / %[1]d);
		CREATE FUNCTION pg_temp.id(i bigint) RETURNS uuid LANGUAGE sql STABLE
			RETURN (lpad(to_hex((extract(epoch FROM pg_temp.at(i)) * 1000)::bigint), 12, '0') || '7000a' || lpad(i::text, 15, '0'))::uuid;
		SET session_replication_role = replica;
		SET maintenance_work_mem = '512MB'`
	explainSmall = `
		INSERT INTO public.organizations (id, name, slug) VALUES ('00000000-0000-7000-8000-000000000110', 'Small', 'bench-small');
		INSERT INTO public.user_profiles (id, org_id, email, full_name) VALUES ('00000000-0000-7000-8000-000000000210',
			'00000000-0000-7000-8000-000000000110', 'small@bench.invalid', 'Small');
		INSERT INTO public.user_roles (org_id, user_id, role_name) VALUES ('00000000-0000-7000-8000-000000000110',
			'00000000-0000-7000-8000-000000000210', 'admin')`
	explainEvents = `
		INSERT INTO public.events (id, org_id, type, payload, published_at, processed_at, status, retry_count, error_message,
			created_by, source, correlation_id)
		SELECT pg_temp.id(i), pg_temp.org(i), e.type,
			jsonb_build_object('jobId', md5(i::text), 'title', 'Engineer number ' || i, 'requiredSkills', jsonb_build_array('Go', 'Java')),
			pg_temp.at(i), CASE WHEN e.status = 'processed' THEN pg_temp.at(i) + interval '1 second' END, e.status,
			CASE e.status WHEN 'failed' THEN 1 WHEN 'dead_letter' THEN 3 ELSE 0 END,
			CASE WHEN e.status IN ('failed', 'dead_letter') THEN 'connection refused' END,
			pg_temp.person(i), 'api', pg_temp.id(i)
		FROM generate_series(1, %[1]d::bigint) AS i
		-- A number that has nothing to do with the organisation.
		CROSS JOIN LATERAL (SELECT i / 10 * 7919 %% 1000 AS n, (i / 10 * 104729 + i) %% 1000 AS m) AS r
		CROSS JOIN LATERAL (SELECT
			CASE WHEN i <= %[1]d / 100 THEN 'candidate.imported' WHEN r.n < 400 THEN 'job.created' WHEN r.n < 700 THEN 'user.created'
				WHEN r.n < 900 THEN 'candidate.placed' WHEN r.n < 999 THEN 'course.graduated' ELSE 'system.probe' END AS type,
			CASE WHEN r.m < 970 THEN 'processed' WHEN r.m < 990 THEN 'pending' WHEN r.m < 999 THEN 'failed' ELSE 'dead_letter' END AS status
		) AS e`
	explainDeliveries = `
		INSERT INTO public.event_deliveries (event_id, handler_name, org_id, status, attempt_count, max_attempts, run_count,
			started_at, finished_at, next_attempt_at, error_message, reason)
		SELECT e.id, h.name, e.org_id, CASE e.status WHEN 'processed' THEN 'succeeded' ELSE e.status END,
			e.retry_count, 3, e.retry_count, e.published_at, e.processed_at,
			CASE WHEN e.status = 'failed' THEN now() + interval '1 hour' END, e.error_message,
			CASE WHEN e.status = 'dead_letter' THEN 'attempts_exhausted' END
		FROM public.events e
		CROSS JOIN LATERAL (
			SELECT unnest(CASE e.type
				WHEN 'job.created' THEN ARRAY['notify_matching_candidates'] WHEN 'user.created' THEN ARRAY['send_welcome_email']
				WHEN 'candidate.placed' THEN ARRAY['update_pod_metrics'] WHEN 'system.probe' THEN ARRAY['run_probe']
				WHEN 'course.graduated' THEN ARRAY['create_candidate_profile', 'notify_recruiting_team']
				ELSE ARRAY['retired_handler'] END) AS name
			UNION ALL SELECT 'seldom_handler' WHERE hashtext(e.id::text) % 1000 = 0
		) AS h`
	explainJobs = `
		INSERT INTO public.jobs (id, org_id, client_id, title, description, required_skills, location, remote_allowed, status,
			created_by, created_at)
		SELECT pg_temp.id(i), pg_temp.org(i), CASE WHEN i / 10 %% 50 = 0 THEN pg_temp.person(i) END,
			CASE WHEN i / 10 %% 5000 = 0 THEN 'Lighthouse keeper ' ELSE 'Engineer number ' END || i,
			'Builds and looks after the systems of a customer.',
			ARRAY['Go', 'PostgreSQL', 'Skill ' || i / 10 %% 97] || CASE WHEN i / 10 %% 5000 = 1 THEN ARRAY['Cobol'] ELSE '{}' END,
			'City ' || i / 10 %% 53, i / 10 %% 3 = 0,
			CASE WHEN i / 10 %% 1000 = 0 THEN 'filled' WHEN i / 10 %% 4 = 0 THEN 'closed' ELSE 'open' END, pg_temp.person(i), pg_temp.at(i)
		FROM generate_series(1, %[1]d::bigint) AS i`
)

// seedMillion fills the database, past the triggers and foreign keys.
func seedMillion(ctx context.Context, d *database, rows int) error {
	steps := []string{
		explainPartitions, explainSmall, fmt.Sprintf(explainIDs, rows), fmt.Sprintf(explainEvents, rows), explainDeliveries,
		explainAttempts, fmt.Sprintf(explainJobs, rows), explainCascade, "RESET session_replication_role", explainRollUp,
	}
	if err := d.adminURL().exec(ctx, steps...); err != nil {
		return err
	}
	return d.adminURL().exec(ctx, `VACUUM (ANALYZE) public.events, public.event_deliveries, public.event_attempts,
		public.event_rollups, public.jobs`, "CHECKPOINT")
}
