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

-- The functions that move deliveries, here and in the migrations after this, run for every event. Each is planned once per connection, maybe while a table is empty and the
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

GRANT EXECUTE ON FUNCTION app.settle_event(uuid, uuid), app.disable_after(), app.note_success(uuid[], text),
    app.note_failure(uuid, text, uuid, text),
    app.end_badly(public.event_deliveries, timestamptz, text, text, interval, text) TO intime_worker;

RESET ROLE;

-- +goose Down
DROP FUNCTION app.end_badly(public.event_deliveries, timestamptz, text, text, interval, text),
    app.note_failure(uuid, text, uuid, text), app.note_success(uuid[], text), app.disable_after(), app.settle_event(uuid, uuid),
    app.audit_event(uuid, text, uuid, jsonb, text);
DROP VIEW event_attempt_history;
DROP TABLE event_attempts, event_deliveries;
DELETE FROM app.partitioned_tables WHERE name IN ('event_deliveries', 'event_attempts');
