-- Deliveries: what became of an event at one handler, and the functions that move them. Every function takes the lease's
-- token: an attempt that lost its lease changes nothing.

-- +goose Up
SET LOCAL ROLE intime_owner;

-- Partitioned like the events, by their ids, so that a month goes as a whole.
CREATE TABLE event_deliveries (
    org_id           uuid        NOT NULL,
    event_id         uuid        NOT NULL,
    handler_name     text        NOT NULL,
    id               uuid        NOT NULL DEFAULT app.uuid_v7(),
    status           text        NOT NULL DEFAULT 'pending',
    attempt_count    integer     NOT NULL DEFAULT 0,
    max_attempts     integer     NOT NULL,
    run_count        integer     NOT NULL DEFAULT 0,
    as_system        boolean     NOT NULL DEFAULT false,
    lease_token      uuid,
    lease_expires_at timestamptz,
    worker           text,
    worker_version   text,
    started_at       timestamptz,
    next_attempt_at  timestamptz,
    finished_at      timestamptz,
    error_message    text,
    reason           text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT event_deliveries_pkey PRIMARY KEY (org_id, event_id, handler_name),
    CONSTRAINT event_deliveries_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT event_deliveries_event_id_fkey FOREIGN KEY (org_id, event_id) REFERENCES events (org_id, id),
    CONSTRAINT event_deliveries_status_check
        CHECK (status IN ('pending', 'running', 'succeeded', 'failed', 'dead_letter', 'skipped')),
    CONSTRAINT event_deliveries_lease_check CHECK ((status = 'running') = (lease_token IS NOT NULL))
) PARTITION BY RANGE (event_id);

COMMENT ON COLUMN event_deliveries.id IS 'Stays the same over retries and replays: the idempotency key for calls outside.';
COMMENT ON COLUMN event_deliveries.attempt_count IS 'The attempts that count towards max_attempts since the last replay.';
COMMENT ON COLUMN event_deliveries.run_count IS 'All attempts ever, the present one included.';
COMMENT ON COLUMN event_deliveries.as_system IS 'Set by a replay after the publisher had lost his rights: it runs as the organisation''s system actor.';
COMMENT ON COLUMN event_deliveries.reason IS 'Why it was skipped or given up, as a stable word: handler_disabled, attempts_exhausted, permanent, actor_revoked, payload_invalid.';

SELECT app.partition_by_month('event_deliveries', 60);

CREATE INDEX event_deliveries_handler_idx ON event_deliveries (org_id, handler_name, event_id);
-- No index knows the status: a delivery changes it three times, and each time in place (HOT). What is due is found through
-- the events' status.

-- The attempts that did not end well. The one that did is in its delivery's row.
CREATE TABLE event_attempts (
    org_id         uuid        NOT NULL,
    event_id       uuid        NOT NULL,
    handler_name   text        NOT NULL,
    number         integer     NOT NULL,
    outcome        text        NOT NULL,
    started_at     timestamptz NOT NULL,
    finished_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    error_message  text,
    worker         text,
    worker_version text,
    CONSTRAINT event_attempts_pkey PRIMARY KEY (org_id, event_id, handler_name, number),
    CONSTRAINT event_attempts_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT event_attempts_event_id_fkey FOREIGN KEY (org_id, event_id) REFERENCES events (org_id, id),
    CONSTRAINT event_attempts_outcome_check
        CHECK (outcome IN ('succeeded', 'failed', 'panicked', 'timed_out', 'crashed', 'interrupted'))
) PARTITION BY RANGE (event_id);

SELECT app.partition_by_month('event_attempts');

CREATE VIEW event_attempt_history WITH (security_invoker = true) AS
SELECT a.org_id, a.event_id, a.handler_name, a.number, a.outcome, a.started_at, a.finished_at, a.error_message, a.worker, a.worker_version
FROM event_attempts a
UNION ALL
SELECT d.org_id, d.event_id, d.handler_name, d.run_count, 'succeeded', d.started_at, d.finished_at, NULL, d.worker, d.worker_version
FROM event_deliveries d WHERE d.status = 'succeeded';

COMMENT ON VIEW event_attempt_history IS 'All attempts that have ended.';

ALTER TABLE event_deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_deliveries FORCE ROW LEVEL SECURITY;
ALTER TABLE event_attempts ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_attempts FORCE ROW LEVEL SECURITY;

GRANT SELECT ON event_deliveries, event_attempts, event_attempt_history TO authenticated;
GRANT SELECT, INSERT, UPDATE ON event_deliveries TO intime_worker;
GRANT SELECT, INSERT ON event_attempts TO intime_worker;
GRANT SELECT ON event_attempt_history TO intime_worker;

CREATE POLICY event_deliveries_select ON event_deliveries FOR SELECT TO authenticated
    USING (org_id = (SELECT app.org_id()) AND (SELECT app.has_permission('event:read')));
CREATE POLICY event_attempts_select ON event_attempts FOR SELECT TO authenticated
    USING (org_id = (SELECT app.org_id()) AND (SELECT app.has_permission('event:read')));

CREATE POLICY event_deliveries_bus_select ON event_deliveries FOR SELECT TO intime_worker USING (true);
CREATE POLICY event_deliveries_bus_insert ON event_deliveries FOR INSERT TO intime_worker WITH CHECK (true);
CREATE POLICY event_deliveries_bus_update ON event_deliveries FOR UPDATE TO intime_worker USING (true) WITH CHECK (true);
CREATE POLICY event_attempts_bus_select ON event_attempts FOR SELECT TO intime_worker USING (true);
CREATE POLICY event_attempts_bus_insert ON event_attempts FOR INSERT TO intime_worker WITH CHECK (true);

GRANT CREATE ON SCHEMA app TO intime_bookkeeper;
RESET ROLE;
SET LOCAL ROLE intime_bookkeeper;

-- Notes in the audit log what the bus itself decided about an event.
-- +goose StatementBegin
CREATE FUNCTION app.audit_event(p_org_id uuid, p_action text, p_event_id uuid, p_details jsonb, p_severity text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    BEGIN
        INSERT INTO public.audit_logs (org_id, actor_kind, action, table_name, record_id, new_values, severity)
        VALUES (p_org_id, 'system', p_action, 'events', p_event_id::text, p_details, p_severity);
    END
    $$;
-- +goose StatementEnd
GRANT EXECUTE ON FUNCTION app.audit_event(uuid, text, uuid, jsonb, text) TO intime_worker;

RESET ROLE;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_bookkeeper;

-- The functions from here on run for every event. Each is planned once per connection, maybe while a table is empty and the
-- planner knows nothing of it. So they look rows up by whole keys, one by one, and leave it no choice: no joins (LATERAL with a
-- LIMIT is none), no reading of whole tables.

-- Derives the event's status from its deliveries. The event's row is locked first, and each statement of a volatile
-- function sees what was committed before it began: of two deliveries that end at once, the later sees the earlier.
-- +goose StatementBegin
CREATE FUNCTION app.settle_event(p_org_id uuid, p_event_id uuid) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = '' SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
    AS $$
    BEGIN
        PERFORM FROM public.events e WHERE e.org_id = p_org_id AND e.id = p_event_id FOR NO KEY UPDATE;
        UPDATE public.events e
        SET status = d.status, retry_count = d.retry_count, error_message = d.error_message,
            processed_at = CASE WHEN d.status = 'processed' THEN clock_timestamp() END,
            changed_xid = pg_catalog.pg_current_xact_id()
        FROM (
            SELECT CASE WHEN bool_or(s.status = 'dead_letter') THEN 'dead_letter'
                        WHEN bool_or(s.status = 'failed') THEN 'failed'
                        WHEN bool_or(s.status IN ('pending', 'running')) THEN 'pending'
                        ELSE 'processed' END AS status,
                   coalesce(max(s.attempt_count) FILTER (WHERE s.error_message IS NOT NULL), 0) AS retry_count,
                   (array_agg(s.error_message ORDER BY s.status <> 'dead_letter', s.status <> 'failed', s.attempt_count DESC)
                       FILTER (WHERE s.error_message IS NOT NULL))[1] AS error_message
            FROM public.event_deliveries s WHERE s.org_id = p_org_id AND s.event_id = p_event_id
        ) d
        WHERE e.org_id = p_org_id AND e.id = p_event_id
          AND (e.status, e.retry_count, e.error_message) IS DISTINCT FROM (d.status, d.retry_count, d.error_message);
    END
    $$;
-- +goose StatementEnd

-- How many different events have to fail in a row, with no success between, before a handler is disabled for the
-- organisation.
-- +goose StatementBegin
CREATE FUNCTION app.disable_after() RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = ''
    AS $$ SELECT 5 $$;
-- +goose StatementEnd

-- Notes a handler's success in some organisations. The row is shared by all the handler's deliveries there, so it is left
-- alone unless there is a row of failures to end, or nothing was noted for a while.
-- +goose StatementBegin
CREATE FUNCTION app.note_success(p_org_ids uuid[], p_handler_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = '' SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
    AS $$
    DECLARE
        stale uuid[];
    BEGIN
        SELECT array_agg(l.id) INTO stale FROM (
            SELECT s.id
            FROM public.event_subscriptions s
            WHERE s.org_id = ANY (p_org_ids) AND s.handler_name = p_handler_name
              AND (s.consecutive_failures > 0 OR s.last_success_at IS NULL
                   OR s.last_success_at < clock_timestamp() - interval '10 seconds')
            -- In one order, so that two workers do not wait for each other.
            ORDER BY s.id FOR NO KEY UPDATE
        ) l;
        IF stale IS NOT NULL THEN
            UPDATE public.event_subscriptions s SET failing_events = '{}', last_success_at = clock_timestamp()
            WHERE s.id = ANY (stale);
        END IF;
    END
    $$;
-- +goose StatementEnd

-- Notes a handler's failed attempt, and disables the handler for the organisation when too many different events have
-- failed in a row. Further attempts of one event count in the total, not in the row.
-- +goose StatementBegin
CREATE FUNCTION app.note_failure(p_org_id uuid, p_handler_name text, p_event_id uuid, p_error text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    DECLARE
        s public.event_subscriptions;
    BEGIN
        UPDATE public.event_subscriptions u
        SET failure_count = u.failure_count + 1, last_failure_at = clock_timestamp(), last_failure_message = p_error,
            failing_events = CASE WHEN p_event_id = ANY (u.failing_events) OR u.consecutive_failures >= app.disable_after()
                                  THEN u.failing_events ELSE u.failing_events || p_event_id END
        WHERE u.org_id = p_org_id AND u.handler_name = p_handler_name
        RETURNING u.* INTO s;
        IF s.is_active AND s.consecutive_failures >= app.disable_after() THEN
            UPDATE public.event_subscriptions u
            SET is_active = false, disabled_at = clock_timestamp(), auto_disabled_at = clock_timestamp(), disabled_by = NULL,
                disabled_reason = format('%s different events failed in a row.', app.disable_after())
            WHERE u.id = s.id;
        END IF;
    END
    $$;
-- +goose StatementEnd

-- Writes down an attempt that ended badly and gives the delivery up, with the reason p_give_up or because its attempts are
-- exhausted; or has it wait for the next one. The caller holds the delivery's row, as it is in p_delivery. An interrupted
-- attempt (shutdown, lost database) does not count.
-- +goose StatementBegin
CREATE FUNCTION app.end_badly(
    p_delivery public.event_deliveries, p_finished_at timestamptz, p_outcome text, p_error text, p_retry_in interval, p_give_up text,
    OUT status text, OUT next_attempt_at timestamptz)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    DECLARE
        d      public.event_deliveries := p_delivery;
        counts boolean := p_outcome IS DISTINCT FROM 'interrupted';
        why    text := nullif(p_give_up, '');
        error  text := left(coalesce(nullif(p_error, ''), 'no error message'), 2000);
    BEGIN
        IF counts AND why IS NULL AND d.attempt_count >= d.max_attempts THEN
            why := 'attempts_exhausted';
        END IF;
        IF why IS NULL THEN
            next_attempt_at := clock_timestamp() + coalesce(p_retry_in, interval '0');
        END IF;
        status := CASE WHEN why IS NOT NULL THEN 'dead_letter'
                       WHEN counts OR d.attempt_count > 1 THEN 'failed'
                       ELSE 'pending' END;
        UPDATE public.event_deliveries s
        SET status = end_badly.status, lease_token = NULL, lease_expires_at = NULL,
            attempt_count = d.attempt_count - CASE WHEN counts THEN 0 ELSE 1 END, run_count = d.run_count,
            started_at = d.started_at, worker = d.worker, worker_version = d.worker_version,
            next_attempt_at = end_badly.next_attempt_at,
            finished_at = CASE WHEN why IS NOT NULL THEN p_finished_at END,
            error_message = CASE WHEN counts THEN error ELSE s.error_message END,
            reason = why
        WHERE s.org_id = d.org_id AND s.event_id = d.event_id AND s.handler_name = d.handler_name;
        INSERT INTO public.event_attempts (org_id, event_id, handler_name, number, outcome, started_at, finished_at, error_message,
            worker, worker_version)
        VALUES (d.org_id, d.event_id, d.handler_name, d.run_count, coalesce(p_outcome, 'failed'), d.started_at, p_finished_at, error,
            d.worker, d.worker_version);
        -- What is not the handler's fault is not held against it.
        IF counts AND coalesce(why, '') NOT IN ('actor_revoked', 'payload_invalid') THEN
            PERFORM app.note_failure(d.org_id, d.handler_name, d.event_id, error);
        END IF;
        PERFORM app.settle_event(d.org_id, d.event_id);
        IF why IS NOT NULL THEN
            PERFORM app.audit_event(d.org_id, 'event.dead_lettered', d.event_id,
                jsonb_build_object('handler', d.handler_name, 'reason', why, 'error', error), 'warning');
        END IF;
    END
    $$;
-- +goose StatementEnd

-- Skips those deliveries that were never attempted and whose handler is disabled meanwhile, and answers their events.
-- +goose StatementBegin
CREATE FUNCTION app.skip_disabled(p_org_ids uuid[], p_event_ids uuid[], p_handler_name text) RETURNS uuid[]
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = '' SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
    AS $$
    DECLARE
        skipped uuid[] := '{}';
    BEGIN
        FOR i IN 1 .. cardinality(p_event_ids) LOOP
            CONTINUE WHEN NOT EXISTS (SELECT FROM public.event_subscriptions s
                WHERE s.org_id = p_org_ids[i] AND s.handler_name = p_handler_name AND NOT s.is_active);
            UPDATE public.event_deliveries d SET status = 'skipped', reason = 'handler_disabled', finished_at = clock_timestamp()
            WHERE d.org_id = p_org_ids[i] AND d.event_id = p_event_ids[i] AND d.handler_name = p_handler_name
              AND d.status = 'pending' AND d.run_count = 0;
            IF FOUND THEN
                PERFORM app.settle_event(p_org_ids[i], p_event_ids[i]);
                skipped := skipped || p_event_ids[i];
            END IF;
        END LOOP;
        RETURN skipped;
    END
    $$;
-- +goose StatementEnd

-- Takes deliveries of one handler that wait for their first attempt, for as long as the transaction lasts, and answers with
-- what the handler needs. Left out is what somebody else holds, and what has no simple answer: app.start_delivery() has it.
-- +goose StatementBegin
CREATE FUNCTION app.take_deliveries(p_org_ids uuid[], p_event_ids uuid[], p_handler_name text)
    RETURNS TABLE (org_id uuid, event_id uuid, delivery_id uuid, event_type text, schema_version integer, payload jsonb,
        metadata jsonb, published_at timestamptz, created_by uuid, correlation_id uuid, depth integer)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = '' SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
    AS $$
    #variable_conflict use_column
    BEGIN
        RETURN QUERY
        SELECT i.org_id, i.event_id, d.id, e.type::text, e.schema_version, e.payload::jsonb, e.metadata::jsonb, e.published_at, e.created_by,
            e.correlation_id, e.depth
        FROM unnest(p_org_ids, p_event_ids) AS i (org_id, event_id)
        CROSS JOIN LATERAL (
            SELECT d.id FROM public.event_deliveries d
            WHERE d.org_id = i.org_id AND d.event_id = i.event_id AND d.handler_name = p_handler_name
              AND d.status = 'pending' AND d.attempt_count = 0 AND d.next_attempt_at IS NULL AND NOT d.as_system
            LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
        ) d
        CROSS JOIN LATERAL (SELECT * FROM public.events e WHERE e.org_id = i.org_id AND e.id = i.event_id LIMIT 1) e
        WHERE (SELECT o.status = 'active' AND o.deleted_at IS NULL FROM public.organizations o WHERE o.id = i.org_id)
          AND (SELECT s.is_active FROM public.event_subscriptions s
               WHERE s.org_id = i.org_id AND s.event_type = e.type AND s.handler_name = p_handler_name)
          AND (e.created_by IS NULL OR app.is_active_member(i.org_id, e.created_by));
    END
    $$;
-- +goose StatementEnd

-- Ends the first attempts of taken deliveries well, in the transaction of their handler. When each began and ended is
-- counted from the transaction's beginning. The caller sorts them, so that two workers do not wait for each other.
-- Ends their job as well, where there is one to end.
-- +goose StatementBegin
CREATE FUNCTION app.finish_deliveries(p_org_ids uuid[], p_event_ids uuid[], p_handler_name text, p_began interval[],
    p_ended interval[], p_worker text, p_worker_version text, p_job_id bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = '' SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
    AS $$
    DECLARE
        -- Of two deliveries of one event that end at once, the later has to see the earlier.
        has_others boolean := EXISTS (
            SELECT FROM app.event_handlers h JOIN app.event_handlers o ON o.event_type = h.event_type AND o.name <> h.name
            WHERE h.name = p_handler_name);
    BEGIN
        FOR i IN 1 .. cardinality(p_event_ids) LOOP
            UPDATE public.event_deliveries d
            SET status = 'succeeded', attempt_count = 1, run_count = d.run_count + 1, started_at = now() + p_began[i],
                finished_at = now() + p_ended[i], worker = p_worker, worker_version = p_worker_version
            WHERE d.org_id = p_org_ids[i] AND d.event_id = p_event_ids[i] AND d.handler_name = p_handler_name;
        END LOOP;
        PERFORM app.note_success(p_org_ids, p_handler_name);
        FOR i IN 1 .. cardinality(p_event_ids) LOOP
            IF has_others THEN
                PERFORM FROM public.events e WHERE e.org_id = p_org_ids[i] AND e.id = p_event_ids[i] FOR NO KEY UPDATE;
            END IF;
            UPDATE public.events e
            SET status = 'processed', retry_count = 0, error_message = NULL, processed_at = clock_timestamp(),
                changed_xid = pg_catalog.pg_current_xact_id()
            WHERE e.org_id = p_org_ids[i] AND e.id = p_event_ids[i] AND NOT EXISTS (
                SELECT FROM public.event_deliveries o
                WHERE o.org_id = p_org_ids[i] AND o.event_id = p_event_ids[i] AND o.status NOT IN ('succeeded', 'skipped', 'discarded'));
        END LOOP;
        IF p_job_id IS NOT NULL THEN
            UPDATE river.river_job j SET state = 'completed', finalized_at = now() WHERE j.id = p_job_id AND j.state = 'running';
        END IF;
    END
    $$;
-- +goose StatementEnd

-- Ends the first attempt of a taken delivery badly, once what the handler did has been rolled back, and answers where the
-- delivery stands now.
-- +goose StatementBegin
CREATE FUNCTION app.fail_taken(
    p_org_id uuid, p_event_id uuid, p_handler_name text, p_began interval, p_ended interval, p_worker text, p_worker_version text,
    p_outcome text, p_error text, p_retry_in interval, p_give_up text, OUT status text, OUT next_attempt_at timestamptz)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    DECLARE
        d public.event_deliveries;
    BEGIN
        SELECT * INTO STRICT d FROM public.event_deliveries s
        WHERE s.org_id = p_org_id AND s.event_id = p_event_id AND s.handler_name = p_handler_name;
        d.attempt_count := 1;
        d.run_count := d.run_count + 1;
        d.started_at := now() + p_began;
        d.worker := p_worker;
        d.worker_version := p_worker_version;
        SELECT b.status, b.next_attempt_at INTO fail_taken.status, fail_taken.next_attempt_at
        FROM app.end_badly(d, now() + p_ended, p_outcome, p_error, p_retry_in, p_give_up) b;
    END
    $$;
-- +goose StatementEnd

-- Begins an attempt and answers what to do: 'run' (with all that the handler needs), 'wait' (for p_wait), 'done' (nothing
-- is left to do). An attempt whose lease ran out has crashed, and counts; the last one to crash is a dead letter. So has
-- the first one where p_lost_at says that its job was lost with the process p_lost_worker.
-- +goose StatementBegin
CREATE FUNCTION app.start_delivery(
    p_org_id uuid, p_event_id uuid, p_handler_name text, p_lease_token uuid, p_lease interval, p_worker text,
    p_worker_version text, p_lost_at timestamptz, p_lost_worker text,
    OUT verdict text, OUT wait interval, OUT delivery_id uuid, OUT attempt integer,
    OUT event_type text, OUT schema_version integer, OUT payload jsonb, OUT metadata jsonb,
    OUT published_at timestamptz, OUT created_by uuid, OUT correlation_id uuid, OUT depth integer,
    OUT actor_active boolean)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = '' SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
    AS $$
    DECLARE
        d       public.event_deliveries;
        e       public.events;
        clock   timestamptz := clock_timestamp();
        crashed boolean := false;
    BEGIN
        SELECT * INTO d FROM public.event_deliveries s
        WHERE s.org_id = p_org_id AND s.event_id = p_event_id AND s.handler_name = p_handler_name FOR NO KEY UPDATE;
        IF NOT FOUND OR d.status NOT IN ('pending', 'running', 'failed') THEN
            verdict := 'done';
            RETURN;
        END IF;
        IF d.status = 'running' AND d.lease_expires_at > clock THEN
            verdict := 'wait';
            wait := d.lease_expires_at - clock;
            RETURN;
        END IF;
        IF NOT EXISTS (SELECT FROM public.organizations o
            WHERE o.id = d.org_id AND o.status = 'active' AND o.deleted_at IS NULL) THEN
            -- The events of a suspended organisation wait until it is active again.
            verdict := 'wait';
            wait := interval '5 minutes';
            RETURN;
        END IF;
        IF d.status <> 'running' AND d.next_attempt_at > clock THEN
            verdict := 'wait';
            wait := d.next_attempt_at - clock;
            RETURN;
        END IF;
        IF app.skip_disabled(ARRAY[d.org_id], ARRAY[d.event_id], d.handler_name) <> '{}' THEN
            verdict := 'done';
            RETURN;
        END IF;
        IF d.status = 'running' THEN
            crashed := true;
        ELSIF d.status = 'pending' AND d.attempt_count = 0 AND d.next_attempt_at IS NULL AND p_lost_at IS NOT NULL THEN
            crashed := true;
            d.attempt_count := 1;
            d.run_count := d.run_count + 1;
            d.started_at := p_lost_at;
            d.lease_expires_at := clock;
            d.worker := p_lost_worker;
            d.worker_version := NULL;
        END IF;
        IF crashed THEN
            INSERT INTO public.event_attempts (org_id, event_id, handler_name, number, outcome, started_at, finished_at,
                error_message, worker, worker_version)
            VALUES (d.org_id, d.event_id, d.handler_name, d.run_count, 'crashed', d.started_at, d.lease_expires_at,
                'The process that ran this attempt ended without a word.', d.worker, d.worker_version);
            IF d.attempt_count >= d.max_attempts THEN
                -- Not before: a process that is killed takes many deliveries with it, and few of them have killed it.
                PERFORM app.note_failure(d.org_id, d.handler_name, d.event_id,
                    'The process that ran this attempt ended without a word.');
                UPDATE public.event_deliveries s
                SET status = 'dead_letter', lease_token = NULL, lease_expires_at = NULL, next_attempt_at = NULL,
                    finished_at = clock, reason = 'attempts_exhausted', attempt_count = d.attempt_count, run_count = d.run_count,
                    error_message = 'The process that ran the last attempt ended without a word.'
                WHERE s.org_id = d.org_id AND s.event_id = d.event_id AND s.handler_name = d.handler_name;
                PERFORM app.settle_event(d.org_id, d.event_id);
                PERFORM app.audit_event(d.org_id, 'event.dead_lettered', d.event_id,
                    jsonb_build_object('handler', d.handler_name, 'reason', 'attempts_exhausted'), 'warning');
                verdict := 'done';
                RETURN;
            END IF;
        END IF;

        UPDATE public.event_deliveries s
        SET status = 'running', attempt_count = d.attempt_count + 1, run_count = d.run_count + 1, started_at = clock,
            next_attempt_at = NULL, lease_token = p_lease_token, lease_expires_at = clock + coalesce(p_lease, interval '1 minute'),
            worker = p_worker, worker_version = p_worker_version
        WHERE s.org_id = d.org_id AND s.event_id = d.event_id AND s.handler_name = d.handler_name;

        SELECT * INTO STRICT e FROM public.events v WHERE v.org_id = d.org_id AND v.id = d.event_id;
        verdict := 'run';
        delivery_id := d.id;
        attempt := d.attempt_count + 1;
        event_type := e.type;
        schema_version := e.schema_version;
        payload := e.payload;
        metadata := e.metadata;
        published_at := e.published_at;
        created_by := CASE WHEN NOT d.as_system THEN e.created_by END;
        correlation_id := e.correlation_id;
        depth := e.depth;
        actor_active := created_by IS NULL OR app.is_active_member(e.org_id, e.created_by);
    END
    $$;
-- +goose StatementEnd

-- Locks the delivery for the attempt that holds its lease; false for one that lost it.
-- +goose StatementBegin
CREATE FUNCTION app.hold_delivery(p_org_id uuid, p_event_id uuid, p_handler_name text, p_lease_token uuid) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = '' SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
    AS $$
    BEGIN
        PERFORM FROM public.event_deliveries s
        WHERE s.org_id = p_org_id AND s.event_id = p_event_id AND s.handler_name = p_handler_name AND s.lease_token = p_lease_token
        FOR NO KEY UPDATE;
        RETURN FOUND;
    END
    $$;
-- +goose StatementEnd

-- Ends an attempt well, in the transaction of the handler. False, and nothing changed, for one that lost its lease.
-- +goose StatementBegin
CREATE FUNCTION public.mark_event_processed(p_org_id uuid, p_event_id uuid, p_handler_name text, p_lease_token uuid) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = '' SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
    AS $$
    BEGIN
        UPDATE public.event_deliveries s
        SET status = 'succeeded', lease_token = NULL, lease_expires_at = NULL, finished_at = clock_timestamp(),
            error_message = NULL, reason = NULL
        WHERE s.org_id = p_org_id AND s.event_id = p_event_id AND s.handler_name = p_handler_name AND s.lease_token = p_lease_token;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
        PERFORM app.note_success(ARRAY[p_org_id], p_handler_name);
        PERFORM app.settle_event(p_org_id, p_event_id);
        RETURN true;
    END
    $$;
-- +goose StatementEnd

-- Ends an attempt that failed, in a transaction of its own, and answers where the delivery stands now: 'failed' with the
-- time of the next attempt, 'dead_letter', or NULL for an attempt that lost its lease. p_give_up is the reason for not
-- trying again.
-- +goose StatementBegin
CREATE FUNCTION public.mark_event_failed(
    p_org_id uuid, p_event_id uuid, p_handler_name text, p_lease_token uuid, p_outcome text, p_error text, p_retry_in interval,
    p_give_up text DEFAULT NULL, OUT status text, OUT next_attempt_at timestamptz)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    DECLARE
        d public.event_deliveries;
    BEGIN
        SELECT * INTO d FROM public.event_deliveries s
        WHERE s.org_id = p_org_id AND s.event_id = p_event_id AND s.handler_name = p_handler_name AND s.lease_token = p_lease_token
        FOR NO KEY UPDATE;
        IF FOUND THEN
            SELECT b.status, b.next_attempt_at INTO mark_event_failed.status, mark_event_failed.next_attempt_at
            FROM app.end_badly(d, clock_timestamp(), p_outcome, p_error, p_retry_in, p_give_up) b;
        END IF;
    END
    $$;
-- +goose StatementEnd

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

GRANT EXECUTE ON FUNCTION app.settle_event(uuid, uuid), app.disable_after(), app.note_success(uuid[], text),
    app.note_failure(uuid, text, uuid, text),
    app.end_badly(public.event_deliveries, timestamptz, text, text, interval, text),
    app.skip_disabled(uuid[], uuid[], text), app.take_deliveries(uuid[], uuid[], text),
    app.finish_deliveries(uuid[], uuid[], text, interval[], interval[], text, text, bigint),
    app.fail_taken(uuid, uuid, text, interval, interval, text, text, text, text, interval, text),
    app.start_delivery(uuid, uuid, text, uuid, interval, text, text, timestamptz, text),
    app.hold_delivery(uuid, uuid, text, uuid), app.enqueue_deliveries(uuid[], uuid[], text[], text[], text[]),
    app.split_job(bigint, uuid[], uuid[]), app.wake_queue(text), app.dispatch_events(integer, integer, uuid, text[]),
    app.overdue_deliveries(interval, integer),
    public.mark_event_processed(uuid, uuid, text, uuid),
    public.mark_event_failed(uuid, uuid, text, uuid, text, text, interval, text) TO intime_worker;

RESET ROLE;

-- +goose Down
DROP FUNCTION app.overdue_deliveries(interval, integer), app.enqueue_deliveries(uuid[], uuid[], text[], text[], text[]),
    app.split_job(bigint, uuid[], uuid[]), app.wake_queue(text), app.dispatch_events(integer, integer, uuid, text[]),
    public.mark_event_failed(uuid, uuid, text, uuid, text, text, interval, text),
    public.mark_event_processed(uuid, uuid, text, uuid), app.hold_delivery(uuid, uuid, text, uuid),
    app.start_delivery(uuid, uuid, text, uuid, interval, text, text, timestamptz, text),
    app.fail_taken(uuid, uuid, text, interval, interval, text, text, text, text, interval, text),
    app.finish_deliveries(uuid[], uuid[], text, interval[], interval[], text, text, bigint),
    app.skip_disabled(uuid[], uuid[], text), app.take_deliveries(uuid[], uuid[], text),
    app.end_badly(public.event_deliveries, timestamptz, text, text, interval, text),
    app.note_failure(uuid, text, uuid, text), app.note_success(uuid[], text), app.disable_after(), app.settle_event(uuid, uuid),
    app.audit_event(uuid, text, uuid, jsonb, text);
DROP VIEW event_attempt_history;
DROP TABLE event_attempts, event_deliveries;
DELETE FROM app.partitioned_tables WHERE name IN ('event_deliveries', 'event_attempts');
