-- Dispatch: events leave the outbox, and get their deliveries and jobs.

-- +goose Up
SET LOCAL ROLE intime_owner;

-- Puts deliveries into River's queue, up to 20 of one handler to a job. An organisation with 40 or more of them, or whose
-- handlers are busy, has jobs to itself behind those of the others. What is busy is 'event.type organisation'.
-- +goose StatementBegin
CREATE FUNCTION app.enqueue_deliveries(p_org_ids uuid[], p_event_ids uuid[], p_handler_names text[], p_event_types text[],
    p_busy text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = '' SET plan_cache_mode = force_generic_plan
    AS $$
    BEGIN
        INSERT INTO river.river_job (kind, queue, priority, max_attempts, args)
        SELECT 'event_delivery', replace(l.event_type, '.', '-'), CASE WHEN l.storm IS NULL THEN 1 ELSE 3 END, 1000,
            jsonb_build_object('handler', l.handler_name, 'deliveries',
                jsonb_agg(jsonb_build_object('org_id', l.org_id, 'event_id', l.event_id) ORDER BY l.event_id))
        FROM (
            SELECT s.*, (row_number() OVER (PARTITION BY s.handler_name, s.storm ORDER BY s.event_id) - 1) / 20 AS lot
            FROM (
                SELECT d.*, CASE WHEN count(*) OVER (PARTITION BY d.handler_name, d.org_id) >= 40
                                 OR d.event_type || ' ' || d.org_id = ANY (p_busy) THEN d.org_id END AS storm
                FROM unnest(p_org_ids, p_event_ids, p_handler_names, p_event_types)
                    AS d (org_id, event_id, handler_name, event_type)
            ) s
        ) l
        GROUP BY l.handler_name, l.event_type, l.storm, l.lot
        ORDER BY min(l.event_id::text);
        PERFORM app.wake_queue(q.name) FROM (SELECT DISTINCT replace(t.type, '.', '-') FROM unnest(p_event_types) AS t (type)) AS q (name);
    END
    $$;
-- +goose StatementEnd

-- Gives the deliveries jobs of their own in place of the job that held them.
-- +goose StatementBegin
CREATE FUNCTION app.split_job(p_job_id bigint, p_org_ids uuid[], p_event_ids uuid[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    BEGIN
        INSERT INTO river.river_job (kind, queue, priority, max_attempts, args)
        SELECT j.kind, j.queue, j.priority, j.max_attempts, jsonb_build_object('handler', j.args -> 'handler', 'deliveries',
            jsonb_build_array(jsonb_build_object('org_id', d.org_id, 'event_id', d.event_id)))
        FROM river.river_job j CROSS JOIN unnest(p_org_ids, p_event_ids) AS d (org_id, event_id)
        WHERE j.id = p_job_id
        ORDER BY d.event_id;
        PERFORM app.wake_queue(j.queue) FROM river.river_job j WHERE j.id = p_job_id;
        UPDATE river.river_job j SET state = 'completed', finalized_at = now() WHERE j.id = p_job_id AND j.state = 'running';
    END
    $$;
-- +goose StatementEnd

-- Tells River's workers of new jobs, as River's own clients do.
-- +goose StatementBegin
CREATE FUNCTION app.wake_queue(p_queue text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$ BEGIN PERFORM pg_catalog.pg_notify('river.river_insert', jsonb_build_object('queue', p_queue)::text); END $$;
-- +goose StatementEnd

-- Takes up to p_limit events out of the outbox and gives each one delivery per subscription: pending, or skipped where the
-- handler is disabled. Queues the deliveries that are to run. Two dispatchers never take the same event. Each
-- organisation has its turn: no more than p_share of its events, oldest first, then those of the next one after p_after.
-- next_after is where to go on, NULL after the last organisation.
-- +goose StatementBegin
CREATE FUNCTION app.dispatch_events(p_limit integer, p_share integer, p_after uuid, p_busy text[], OUT taken integer, OUT next_after uuid)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = '' SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
    AS $$
    DECLARE
        batch         uuid[];
        orgs          uuid[];
        requeued      uuid[];
        org_ids       uuid[];
        event_ids     uuid[];
        handler_names text[];
        event_types   text[];
        unfinished    uuid[];
    BEGIN
        WITH RECURSIVE org AS (
            (SELECT o.org_id AS id FROM public.event_outbox o
             WHERE p_after IS NULL OR o.org_id > p_after ORDER BY o.org_id LIMIT 1)
            UNION ALL
            SELECT (SELECT o.org_id FROM public.event_outbox o WHERE o.org_id > g.id ORDER BY o.org_id LIMIT 1)
            FROM org g WHERE g.id IS NOT NULL
        ), next AS (
            SELECT t.org_id, t.event_id
            FROM org g CROSS JOIN LATERAL (
                SELECT o.org_id, o.event_id FROM public.event_outbox o WHERE o.org_id = g.id
                ORDER BY o.event_id LIMIT p_share FOR UPDATE SKIP LOCKED
            ) t
            LIMIT p_limit
        ), gone AS (
            DELETE FROM public.event_outbox o USING next n WHERE o.org_id = n.org_id AND o.event_id = n.event_id
            RETURNING o.org_id, o.event_id, o.is_requeued
        )
        SELECT array_agg(g.event_id), array_agg(g.org_id), array_agg(g.event_id) FILTER (WHERE g.is_requeued)
        INTO batch, orgs, requeued FROM gone g;
        taken := coalesce(cardinality(batch), 0);
        IF taken = 0 THEN
            RETURN;
        END IF;
        IF taken = p_limit THEN
            next_after := (SELECT max(o.id::text)::uuid FROM unnest(orgs) AS o (id));
        END IF;
        WITH made AS (
            INSERT INTO public.event_deliveries AS d (org_id, event_id, handler_name, max_attempts, status, reason, finished_at)
            SELECT e.org_id, e.id, s.handler_name, h.max_attempts,
                   CASE WHEN s.is_active THEN 'pending' ELSE 'skipped' END,
                   CASE WHEN NOT s.is_active THEN 'handler_disabled' END,
                   CASE WHEN NOT s.is_active THEN now() END
            FROM unnest(orgs, batch) AS b (org_id, id)
            CROSS JOIN LATERAL (SELECT v.org_id, v.id, v.type FROM public.events v WHERE v.org_id = b.org_id AND v.id = b.id LIMIT 1) e
            CROSS JOIN LATERAL (
                SELECT v.handler_name, v.is_active FROM public.event_subscriptions v
                WHERE v.org_id = e.org_id AND v.event_type = e.type LIMIT 1000
            ) s
            JOIN app.event_handlers h ON h.name = s.handler_name
            -- What is replayed has its deliveries: a handler that subscribed since does not run by the way.
            WHERE b.id <> ALL (coalesce(requeued, '{}'))
            ON CONFLICT ON CONSTRAINT event_deliveries_pkey DO NOTHING
            RETURNING d.org_id, d.event_id, d.handler_name, d.status
        ), due AS (
            SELECT m.org_id, m.event_id, m.handler_name FROM made m WHERE m.status = 'pending'
            UNION
            SELECT b.org_id, b.id, d.handler_name
            FROM unnest(orgs, batch) AS b (org_id, id)
            CROSS JOIN LATERAL (
                SELECT v.handler_name FROM public.event_deliveries v
                WHERE v.org_id = b.org_id AND v.event_id = b.id AND v.status = 'pending' LIMIT 1000
            ) d
            WHERE b.id = ANY (requeued)
        )
        SELECT array_agg(d.org_id ORDER BY d.event_id), array_agg(d.event_id ORDER BY d.event_id),
               array_agg(d.handler_name ORDER BY d.event_id), array_agg(h.event_type ORDER BY d.event_id)
        INTO org_ids, event_ids, handler_names, event_types
        FROM due d JOIN app.event_handlers h ON h.name = d.handler_name;
        IF event_ids IS NOT NULL THEN
            PERFORM app.enqueue_deliveries(org_ids, event_ids, handler_names, event_types, p_busy);
        END IF;
        -- Nobody to wait for: these have been handled already.
        SELECT array_agg(b.id) INTO unfinished FROM unnest(batch) AS b (id) WHERE b.id <> ALL (coalesce(event_ids, '{}'));
        IF unfinished IS NOT NULL THEN
            FOR i IN 1 .. taken LOOP
                CONTINUE WHEN batch[i] <> ALL (unfinished);
                UPDATE public.events e
                SET status = 'processed', processed_at = clock_timestamp(), changed_xid = pg_catalog.pg_current_xact_id()
                WHERE e.org_id = orgs[i] AND e.id = batch[i] AND e.status = 'pending' AND NOT EXISTS (
                    SELECT FROM public.event_deliveries d
                    WHERE d.org_id = orgs[i] AND d.event_id = batch[i] AND d.status NOT IN ('succeeded', 'skipped', 'discarded'));
            END LOOP;
        END IF;
    END
    $$;
-- +goose StatementEnd

-- Finds up to p_limit deliveries that should have moved on p_overdue ago and did not: their job was lost. Whoever runs them
-- twice does no harm, for starting an attempt asks for the lease.
-- +goose StatementBegin
CREATE FUNCTION app.overdue_deliveries(p_overdue interval, p_limit integer)
    RETURNS TABLE (org_id uuid, event_id uuid, handler_name text, event_type text)
    LANGUAGE plpgsql STABLE SECURITY INVOKER
    SET search_path = ''
    AS $$
    BEGIN
        RETURN QUERY
        SELECT d.org_id, d.event_id, d.handler_name, e.type::text
        FROM public.organizations o
        CROSS JOIN unnest(ARRAY['pending', 'failed']) AS unsettled (status)
        CROSS JOIN LATERAL (
            SELECT v.id, v.type FROM public.events v
            WHERE v.org_id = o.id AND v.status = unsettled.status AND v.id < app.uuid_v7_floor(now() - p_overdue)
            ORDER BY v.id LIMIT p_limit
        ) e
        JOIN public.event_deliveries d ON d.org_id = o.id AND d.event_id = e.id
        WHERE o.status = 'active' AND o.deleted_at IS NULL
          AND CASE d.status WHEN 'pending' THEN coalesce(d.next_attempt_at, d.created_at) < now() - p_overdue
                            WHEN 'failed' THEN d.next_attempt_at < now() - p_overdue
                            WHEN 'running' THEN d.lease_expires_at < now() - p_overdue
                            ELSE false END
        LIMIT p_limit;
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.enqueue_deliveries(uuid[], uuid[], text[], text[], text[]),
    app.split_job(bigint, uuid[], uuid[]), app.wake_queue(text), app.dispatch_events(integer, integer, uuid, text[]),
    app.overdue_deliveries(interval, integer) TO intime_worker;

RESET ROLE;

-- +goose Down
DROP FUNCTION app.overdue_deliveries(interval, integer), app.dispatch_events(integer, integer, uuid, text[]),
    app.wake_queue(text), app.split_job(bigint, uuid[], uuid[]),
    app.enqueue_deliveries(uuid[], uuid[], text[], text[], text[]);
