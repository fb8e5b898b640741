-- Deliveries: what became of an event at one handler, and the functions that move them. Every function takes the lease's
-- token: an attempt that lost its lease changes nothing.

-- +goose Up
SET LOCAL ROLE intime_owner;

-- Partitioned like the events, by their ids, so that a month goes as a whole.
CREATE TABLE event_deliveries (
    event_id         uuid        NOT NULL,
    handler_name     text        NOT NULL,
    org_id           uuid        NOT NULL,
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
    CONSTRAINT event_deliveries_pkey PRIMARY KEY (event_id, handler_name),
    CONSTRAINT event_deliveries_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT event_deliveries_event_id_fkey FOREIGN KEY (org_id, event_id) REFERENCES events (org_id, id),
    CONSTRAINT event_deliveries_status_check
        CHECK (status IN ('pending', 'running', 'succeeded', 'failed', 'dead_letter', 'skipped')),
    CONSTRAINT event_deliveries_lease_check CHECK ((status = 'running') = (lease_token IS NOT NULL))
) PARTITION BY RANGE (event_id);

COMMENT ON COLUMN event_deliveries.id IS 'Stays the same over retries and replays: the idempotency key for calls outside.';
COMMENT ON COLUMN event_deliveries.attempt_count IS 'The attempts that count towards max_attempts since the last replay.';
COMMENT ON COLUMN event_deliveries.run_count IS 'All attempts ever: the number of the newest row of event_attempts.';
COMMENT ON COLUMN event_deliveries.as_system IS 'Set by a replay after the publisher had lost his rights: it runs as the organisation''s system actor.';
COMMENT ON COLUMN event_deliveries.reason IS 'Why it was skipped or given up, as a stable word: handler_disabled, attempts_exhausted, permanent, actor_revoked, payload_invalid.';

SELECT app.partition_by_month('event_deliveries');

CREATE INDEX event_deliveries_event_id_idx ON event_deliveries (org_id, event_id);
CREATE INDEX event_deliveries_handler_idx ON event_deliveries (org_id, handler_name, event_id);
-- No index knows the status: a delivery changes it three times, and each time in place (HOT). What is due is found through
-- the events' status.

CREATE TABLE event_attempts (
    event_id       uuid        NOT NULL,
    handler_name   text        NOT NULL,
    number         integer     NOT NULL,
    org_id         uuid        NOT NULL,
    outcome        text        NOT NULL,
    started_at     timestamptz NOT NULL,
    finished_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    error_message  text,
    worker         text,
    worker_version text,
    CONSTRAINT event_attempts_pkey PRIMARY KEY (event_id, handler_name, number),
    CONSTRAINT event_attempts_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT event_attempts_event_id_fkey FOREIGN KEY (org_id, event_id) REFERENCES events (org_id, id),
    CONSTRAINT event_attempts_outcome_check
        CHECK (outcome IN ('succeeded', 'failed', 'panicked', 'timed_out', 'crashed', 'interrupted'))
) PARTITION BY RANGE (event_id);

SELECT app.partition_by_month('event_attempts');

CREATE INDEX event_attempts_event_id_idx ON event_attempts (org_id, event_id);

ALTER TABLE event_deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_deliveries FORCE ROW LEVEL SECURITY;
ALTER TABLE event_attempts ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_attempts FORCE ROW LEVEL SECURITY;

GRANT SELECT ON event_deliveries, event_attempts TO authenticated;
GRANT SELECT, INSERT, UPDATE ON event_deliveries TO intime_worker;
GRANT SELECT, INSERT ON event_attempts TO intime_worker;

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

-- Derives the event's status from its deliveries. The event's row is locked first, and each statement of a volatile
-- function sees what was committed before it began: of two deliveries that end at once, the later sees the earlier.
-- +goose StatementBegin
CREATE FUNCTION app.settle_event(p_org_id uuid, p_event_id uuid) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    BEGIN
        PERFORM FROM public.events e WHERE e.org_id = p_org_id AND e.id = p_event_id FOR NO KEY UPDATE;
        UPDATE public.events e
        SET status = d.status, retry_count = d.retry_count, error_message = d.error_message,
            processed_at = CASE WHEN d.status = 'processed' THEN clock_timestamp() END
        FROM (
            SELECT CASE WHEN bool_or(s.status = 'dead_letter') THEN 'dead_letter'
                        WHEN bool_or(s.status = 'failed') THEN 'failed'
                        WHEN bool_or(s.status IN ('pending', 'running')) THEN 'pending'
                        ELSE 'processed' END AS status,
                   coalesce(max(s.attempt_count) FILTER (WHERE s.error_message IS NOT NULL), 0) AS retry_count,
                   (array_agg(s.error_message ORDER BY s.status <> 'dead_letter', s.status <> 'failed', s.attempt_count DESC)
                       FILTER (WHERE s.error_message IS NOT NULL))[1] AS error_message
            FROM public.event_deliveries s WHERE s.event_id = p_event_id
        ) d
        WHERE e.org_id = p_org_id AND e.id = p_event_id
          AND (e.status, e.retry_count, e.error_message) IS DISTINCT FROM (d.status, d.retry_count, d.error_message);
    END
    $$;
-- +goose StatementEnd

-- Begins an attempt and answers what to do: 'run' (with all that the handler needs), 'wait' (for p_wait), 'done' (nothing
-- is left to do). An attempt whose lease ran out has crashed, and counts; the last one to crash is a dead letter.
-- +goose StatementBegin
CREATE FUNCTION app.start_delivery(
    p_event_id uuid, p_handler_name text, p_lease_token uuid, p_lease interval, p_worker text, p_worker_version text,
    OUT verdict text, OUT wait interval, OUT delivery_id uuid, OUT attempt integer, OUT replayed boolean,
    OUT org_id uuid, OUT event_type text, OUT schema_version integer, OUT payload jsonb, OUT metadata jsonb,
    OUT published_at timestamptz, OUT created_by uuid, OUT correlation_id uuid, OUT depth integer,
    OUT actor_active boolean)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    DECLARE
        d     public.event_deliveries;
        e     public.events;
        clock timestamptz := clock_timestamp();
    BEGIN
        SELECT * INTO d FROM public.event_deliveries s
        WHERE s.event_id = p_event_id AND s.handler_name = p_handler_name FOR NO KEY UPDATE;
        IF NOT FOUND OR d.status IN ('succeeded', 'dead_letter', 'skipped', 'discarded') THEN
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
        IF d.status = 'running' THEN
            INSERT INTO public.event_attempts (event_id, handler_name, number, org_id, outcome, started_at, finished_at,
                error_message, worker, worker_version)
            VALUES (d.event_id, d.handler_name, d.run_count, d.org_id, 'crashed', d.started_at, d.lease_expires_at,
                'The process that ran this attempt ended without a word.', d.worker, d.worker_version);
            PERFORM app.note_failure(d.org_id, d.handler_name, p_event_id,
                'The process that ran this attempt ended without a word.');
            IF d.attempt_count >= d.max_attempts THEN
                UPDATE public.event_deliveries s
                SET status = 'dead_letter', lease_token = NULL, lease_expires_at = NULL, next_attempt_at = NULL,
                    finished_at = clock, reason = 'attempts_exhausted',
                    error_message = 'The process that ran the last attempt ended without a word.'
                WHERE s.event_id = p_event_id AND s.handler_name = p_handler_name;
                PERFORM app.settle_event(d.org_id, p_event_id);
                PERFORM app.audit_event(d.org_id, 'event.dead_lettered', p_event_id,
                    jsonb_build_object('handler', p_handler_name, 'reason', 'attempts_exhausted'), 'warning');
                verdict := 'done';
                RETURN;
            END IF;
        ELSIF d.next_attempt_at > clock THEN
            verdict := 'wait';
            wait := d.next_attempt_at - clock;
            RETURN;
        END IF;

        UPDATE public.event_deliveries s
        SET status = 'running', attempt_count = s.attempt_count + 1, run_count = s.run_count + 1, started_at = clock,
            next_attempt_at = NULL, lease_token = p_lease_token, lease_expires_at = clock + coalesce(p_lease, interval '1 minute'),
            worker = p_worker, worker_version = p_worker_version
        WHERE s.event_id = p_event_id AND s.handler_name = p_handler_name;

        SELECT * INTO STRICT e FROM public.events v WHERE v.org_id = d.org_id AND v.id = p_event_id;
        verdict := 'run';
        delivery_id := d.id;
        attempt := d.attempt_count + 1;
        replayed := coalesce((e.metadata ->> 'replayed')::boolean, false);
        org_id := e.org_id;
        event_type := e.type;
        schema_version := e.schema_version;
        payload := e.payload;
        metadata := e.metadata;
        published_at := e.published_at;
        created_by := CASE WHEN NOT d.as_system THEN e.created_by END;
        correlation_id := e.correlation_id;
        depth := e.depth;
        actor_active := created_by IS NULL OR EXISTS (
            SELECT FROM app.session(e.created_by) m WHERE m.org_id = e.org_id AND m.org_active AND m.is_active);
    END
    $$;
-- +goose StatementEnd

-- Locks the delivery for the attempt that holds its lease; false for one that lost it.
-- +goose StatementBegin
CREATE FUNCTION app.hold_delivery(p_event_id uuid, p_handler_name text, p_lease_token uuid) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    BEGIN
        PERFORM FROM public.event_deliveries s
        WHERE s.event_id = p_event_id AND s.handler_name = p_handler_name AND s.lease_token = p_lease_token
        FOR NO KEY UPDATE;
        RETURN FOUND;
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

-- Notes a handler's success. The row is shared by all its deliveries in the organisation, so it is left alone unless
-- there is a row of failures to end, or nothing was noted for a while.
-- +goose StatementBegin
CREATE FUNCTION app.note_success(p_org_id uuid, p_handler_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    BEGIN
        UPDATE public.event_subscriptions s SET failing_events = '{}', last_success_at = clock_timestamp()
        WHERE s.org_id = p_org_id AND s.handler_name = p_handler_name
          AND (s.consecutive_failures > 0 OR s.last_success_at IS NULL
               OR s.last_success_at < clock_timestamp() - interval '10 seconds');
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

-- Ends an attempt well, in the transaction of the handler. False, and nothing changed, for one that lost its lease.
-- +goose StatementBegin
CREATE FUNCTION public.mark_event_processed(p_event_id uuid, p_handler_name text, p_lease_token uuid) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    DECLARE
        d public.event_deliveries;
    BEGIN
        UPDATE public.event_deliveries s
        SET status = 'succeeded', lease_token = NULL, lease_expires_at = NULL, finished_at = clock_timestamp(),
            error_message = NULL, reason = NULL
        WHERE s.event_id = p_event_id AND s.handler_name = p_handler_name AND s.lease_token = p_lease_token
        RETURNING s.* INTO d;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
        INSERT INTO public.event_attempts (event_id, handler_name, number, org_id, outcome, started_at, worker, worker_version)
        VALUES (d.event_id, d.handler_name, d.run_count, d.org_id, 'succeeded', d.started_at, d.worker, d.worker_version);
        PERFORM app.note_success(d.org_id, d.handler_name);
        PERFORM app.settle_event(d.org_id, p_event_id);
        RETURN true;
    END
    $$;
-- +goose StatementEnd

-- Ends an attempt that failed, in a transaction of its own, and answers where the delivery stands now: 'failed' with the
-- time of the next attempt, 'dead_letter', or NULL for an attempt that lost its lease. p_give_up is the reason for not
-- trying again. An interrupted attempt (shutdown, lost database) does not count.
-- +goose StatementBegin
CREATE FUNCTION public.mark_event_failed(
    p_event_id uuid, p_handler_name text, p_lease_token uuid, p_outcome text, p_error text, p_retry_in interval,
    p_give_up text DEFAULT NULL, OUT status text, OUT next_attempt_at timestamptz)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    DECLARE
        d      public.event_deliveries;
        counts boolean := p_outcome IS DISTINCT FROM 'interrupted';
        why    text := nullif(p_give_up, '');
        error  text := left(coalesce(nullif(p_error, ''), 'no error message'), 2000);
    BEGIN
        SELECT * INTO d FROM public.event_deliveries s
        WHERE s.event_id = p_event_id AND s.handler_name = p_handler_name AND s.lease_token = p_lease_token
        FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            RETURN;
        END IF;
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
        SET status = mark_event_failed.status, lease_token = NULL, lease_expires_at = NULL,
            attempt_count = s.attempt_count - CASE WHEN counts THEN 0 ELSE 1 END,
            next_attempt_at = mark_event_failed.next_attempt_at,
            finished_at = CASE WHEN why IS NOT NULL THEN clock_timestamp() END,
            error_message = CASE WHEN counts THEN error ELSE s.error_message END,
            reason = why
        WHERE s.event_id = p_event_id AND s.handler_name = p_handler_name;
        INSERT INTO public.event_attempts (event_id, handler_name, number, org_id, outcome, started_at, error_message,
            worker, worker_version)
        VALUES (d.event_id, d.handler_name, d.run_count, d.org_id, coalesce(p_outcome, 'failed'), d.started_at, error,
            d.worker, d.worker_version);
        -- What is not the handler's fault is not held against it.
        IF counts AND coalesce(why, '') NOT IN ('actor_revoked', 'payload_invalid') THEN
            PERFORM app.note_failure(d.org_id, d.handler_name, p_event_id, error);
        END IF;
        PERFORM app.settle_event(d.org_id, p_event_id);
        IF why IS NOT NULL THEN
            PERFORM app.audit_event(d.org_id, 'event.dead_lettered', p_event_id,
                jsonb_build_object('handler', p_handler_name, 'reason', why, 'error', error), 'warning');
        END IF;
    END
    $$;
-- +goose StatementEnd

-- Takes up to p_limit events out of the outbox, oldest first, and gives each one delivery per subscription: pending, or
-- skipped where the handler is disabled. Answers the deliveries that need a job. Two dispatchers never take the same event.
-- +goose StatementBegin
CREATE FUNCTION app.dispatch_events(p_limit integer, OUT taken integer, OUT event_ids uuid[],
    OUT handler_names text[], OUT event_types text[])
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    DECLARE
        batch uuid[];
        orgs  uuid[];
    BEGIN
        WITH next AS (
            SELECT o.event_id FROM public.event_outbox o ORDER BY o.event_id LIMIT p_limit FOR UPDATE SKIP LOCKED
        ), gone AS (
            DELETE FROM public.event_outbox o USING next n WHERE o.event_id = n.event_id
            RETURNING o.event_id, o.org_id
        )
        SELECT array_agg(g.event_id ORDER BY g.event_id), array_agg(g.org_id ORDER BY g.event_id) INTO batch, orgs FROM gone g;
        taken := coalesce(cardinality(batch), 0);
        IF taken = 0 THEN
            RETURN;
        END IF;
        INSERT INTO public.event_deliveries (event_id, handler_name, org_id, max_attempts, status, reason, finished_at)
        SELECT e.id, s.handler_name, e.org_id, h.max_attempts,
               CASE WHEN s.is_active THEN 'pending' ELSE 'skipped' END,
               CASE WHEN NOT s.is_active THEN 'handler_disabled' END,
               CASE WHEN NOT s.is_active THEN now() END
        FROM unnest(orgs, batch) AS b (org_id, id)
        -- What is replayed has its deliveries: a handler that subscribed since does not run by the way.
        JOIN public.events e ON e.org_id = b.org_id AND e.id = b.id AND NOT e.metadata ? 'replayed'
        JOIN public.event_subscriptions s ON s.org_id = e.org_id AND s.event_type = e.type
        JOIN app.event_handlers h ON h.name = s.handler_name
        ORDER BY e.id
        ON CONFLICT ON CONSTRAINT event_deliveries_pkey DO NOTHING;
        -- Not only the new ones: a replay sets deliveries back and puts their event into the outbox again.
        SELECT array_agg(d.event_id ORDER BY d.event_id, d.handler_name),
               array_agg(d.handler_name ORDER BY d.event_id, d.handler_name),
               array_agg(h.event_type ORDER BY d.event_id, d.handler_name)
        INTO event_ids, handler_names, event_types
        FROM public.event_deliveries d JOIN app.event_handlers h ON h.name = d.handler_name
        WHERE d.event_id = ANY (batch) AND d.status = 'pending';
        -- Nobody to wait for: these have been handled already.
        UPDATE public.events e SET status = 'processed', processed_at = clock_timestamp()
        FROM unnest(orgs, batch) AS b (org_id, id)
        WHERE e.org_id = b.org_id AND e.id = b.id AND e.status = 'pending' AND NOT EXISTS (
            SELECT FROM public.event_deliveries d
            WHERE d.event_id = e.id AND d.status NOT IN ('succeeded', 'skipped'));
    END
    $$;
-- +goose StatementEnd

-- Finds up to p_limit deliveries that should have moved on p_overdue ago and did not: their job was lost. Whoever runs them
-- twice does no harm, for starting an attempt asks for the lease.
-- +goose StatementBegin
CREATE FUNCTION app.overdue_deliveries(p_overdue interval, p_limit integer)
    RETURNS TABLE (event_id uuid, handler_name text, event_type text)
    LANGUAGE plpgsql STABLE SECURITY INVOKER
    SET search_path = ''
    AS $$
    BEGIN
        RETURN QUERY
        SELECT d.event_id, d.handler_name, e.type
        FROM public.organizations o
        CROSS JOIN unnest(ARRAY['pending', 'failed']) AS unsettled (status)
        CROSS JOIN LATERAL (
            SELECT v.id, v.type FROM public.events v
            WHERE v.org_id = o.id AND v.status = unsettled.status AND v.id < app.uuid_v7_floor(now() - p_overdue)
            ORDER BY v.id LIMIT p_limit
        ) e
        JOIN public.event_deliveries d ON d.event_id = e.id
        WHERE o.status = 'active' AND o.deleted_at IS NULL
          AND CASE d.status WHEN 'pending' THEN coalesce(d.next_attempt_at, d.created_at) < now() - p_overdue
                            WHEN 'failed' THEN d.next_attempt_at < now() - p_overdue
                            WHEN 'running' THEN d.lease_expires_at < now() - p_overdue
                            ELSE false END
        LIMIT p_limit;
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.settle_event(uuid, uuid), app.disable_after(), app.note_success(uuid, text),
    app.note_failure(uuid, text, uuid, text), app.start_delivery(uuid, text, uuid, interval, text, text),
    app.hold_delivery(uuid, text, uuid), app.dispatch_events(integer), app.overdue_deliveries(interval, integer),
    public.mark_event_processed(uuid, text, uuid),
    public.mark_event_failed(uuid, text, uuid, text, text, interval, text) TO intime_worker;

RESET ROLE;

-- +goose Down
DROP FUNCTION app.overdue_deliveries(interval, integer), app.dispatch_events(integer),
    public.mark_event_failed(uuid, text, uuid, text, text, interval, text),
    public.mark_event_processed(uuid, text, uuid), app.hold_delivery(uuid, text, uuid),
    app.start_delivery(uuid, text, uuid, interval, text, text), app.note_failure(uuid, text, uuid, text),
    app.note_success(uuid, text), app.disable_after(), app.settle_event(uuid, uuid),
    app.audit_event(uuid, text, uuid, jsonb, text);
DROP TABLE event_attempts, event_deliveries;
DELETE FROM app.partitioned_tables WHERE name IN ('event_deliveries', 'event_attempts');
