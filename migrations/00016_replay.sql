-- Replay: what failed is set back and goes through the outbox once more, as the same event.

-- +goose Up
SET LOCAL ROLE intime_owner;

GRANT SELECT, UPDATE (status, retry_count, error_message, processed_at, metadata, changed_xid) ON events TO intime_bookkeeper;
GRANT SELECT, UPDATE ON event_deliveries TO intime_bookkeeper;

-- The functions below run as this role: they stay in the caller's organisation even so.
CREATE POLICY events_replay_select ON events FOR SELECT TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()));
CREATE POLICY events_replay_update ON events FOR UPDATE TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id())) WITH CHECK (org_id = (SELECT app.org_id()));
CREATE POLICY event_deliveries_replay_select ON event_deliveries FOR SELECT TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()));
CREATE POLICY event_deliveries_replay_update ON event_deliveries FOR UPDATE TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id())) WITH CHECK (org_id = (SELECT app.org_id()));

GRANT CREATE ON SCHEMA app TO intime_bookkeeper;
RESET ROLE;
GRANT CREATE ON SCHEMA public TO intime_bookkeeper;
SET LOCAL ROLE intime_bookkeeper;

-- Sets deliveries of the caller's organisation back to pending and sends their events to the dispatcher again. Those that
-- had lost their publisher run as the organisation's system actor.
-- +goose StatementBegin
CREATE FUNCTION app.requeue_deliveries(p_event_ids uuid[], p_handler_name text, p_statuses text[], p_action text) RETURNS uuid[]
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        requeued uuid[];
        claims   jsonb := auth.jwt();
    BEGIN
        WITH back AS (
            UPDATE public.event_deliveries d
            SET status = 'pending', attempt_count = 0, next_attempt_at = NULL, finished_at = NULL, error_message = NULL,
                reason = NULL, as_system = d.as_system OR d.reason IS NOT DISTINCT FROM 'actor_revoked'
            WHERE d.event_id = ANY (p_event_ids) AND d.status = ANY (p_statuses)
              AND (p_handler_name IS NULL OR d.handler_name = p_handler_name)
            RETURNING d.event_id
        )
        SELECT coalesce(array_agg(DISTINCT b.event_id), '{}') INTO requeued FROM back b;
        UPDATE public.events e
        SET status = 'pending', retry_count = 0, error_message = NULL, processed_at = NULL, changed_xid = pg_current_xact_id(),
            metadata = e.metadata || jsonb_strip_nulls(jsonb_build_object(
                'replayed', true, 'replayed_at', clock_timestamp(), 'replayed_by', auth.uid()))
        WHERE e.id = ANY (requeued);
        INSERT INTO public.event_outbox (event_id, org_id, type)
        SELECT e.id, e.org_id, e.type FROM public.events e WHERE e.id = ANY (requeued)
        ON CONFLICT DO NOTHING;
        INSERT INTO public.audit_logs (org_id, actor_id, actor_kind, action, table_name, record_id, new_values,
            request_id, ip_address, user_agent)
        SELECT e.org_id, auth.uid(), app.actor_kind(), p_action, 'events', e.id::text,
            jsonb_strip_nulls(jsonb_build_object('handler', p_handler_name)),
            claims ->> 'request_id', (claims ->> 'ip')::inet, claims ->> 'user_agent'
        FROM public.events e WHERE e.id = ANY (requeued);
        RETURN requeued;
    END
    $$;
-- +goose StatementEnd

-- Replays events of the caller's organisation that failed: those of their deliveries that have not succeeded run again,
-- with all their attempts. Whoever calls it twice replays once, for the second time nothing is failed any more. An event
-- of another organisation is not found.
-- +goose StatementBegin
CREATE FUNCTION public.replay_failed_events(
    p_event_ids uuid[], OUT replayed integer, OUT skipped integer, OUT not_found integer)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        wanted uuid[];
        known  uuid[];
        failed uuid[];
    BEGIN
        IF app.org_id() IS NULL OR NOT app.has_permission('event:replay') THEN
            RAISE EXCEPTION 'replay_failed_events: the permission event:replay is missing' USING ERRCODE = 'insufficient_privilege';
        END IF;
        SELECT coalesce(array_agg(DISTINCT i.id), '{}') INTO wanted FROM unnest(p_event_ids) AS i (id) WHERE i.id IS NOT NULL;
        IF cardinality(wanted) > 100 THEN
            RAISE EXCEPTION 'replay_failed_events: at most 100 events at once' USING ERRCODE = 'invalid_parameter_value';
        END IF;
        -- In one order, so that two callers do not wait for each other.
        SELECT coalesce(array_agg(l.id), '{}'), coalesce(array_agg(l.id) FILTER (WHERE l.status IN ('failed', 'dead_letter')), '{}')
        INTO known, failed
        FROM (SELECT e.id, e.status FROM public.events e WHERE e.id = ANY (wanted) ORDER BY e.id FOR NO KEY UPDATE) l;
        replayed := cardinality(app.requeue_deliveries(failed, NULL, ARRAY['failed', 'dead_letter'], 'event.replayed'));
        skipped := cardinality(known) - replayed;
        not_found := cardinality(wanted) - cardinality(known);
    END
    $$;
-- +goose StatementEnd

-- Runs deliveries of the caller's organisation that were skipped while their handler was disabled, of events from p_since
-- on, oldest first and at most p_limit of them, and answers how many events that were.
-- +goose StatementBegin
CREATE FUNCTION app.run_skipped(p_handler_name text, p_since timestamptz, p_limit integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        missed uuid[];
    BEGIN
        IF app.org_id() IS NULL OR NOT app.has_permission('handler:update') THEN
            RAISE EXCEPTION 'run_skipped: the permission handler:update is missing' USING ERRCODE = 'insufficient_privilege';
        END IF;
        SELECT array_agg(m.event_id) INTO missed
        FROM (
            SELECT d.event_id FROM public.event_deliveries d
            WHERE d.handler_name = p_handler_name AND d.event_id >= app.uuid_v7_floor(p_since) AND d.status = 'skipped'
            ORDER BY d.event_id LIMIT p_limit
        ) m;
        RETURN cardinality(app.requeue_deliveries(coalesce(missed, '{}'), p_handler_name, ARRAY['skipped'], 'event.caught_up'));
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION public.replay_failed_events(uuid[]), app.run_skipped(text, timestamptz, integer) TO authenticated;

RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM intime_bookkeeper;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_bookkeeper;

RESET ROLE;

-- +goose Down
DROP FUNCTION app.run_skipped(text, timestamptz, integer), public.replay_failed_events(uuid[]),
    app.requeue_deliveries(uuid[], text, text[], text);
DROP POLICY event_deliveries_replay_update ON event_deliveries;
DROP POLICY event_deliveries_replay_select ON event_deliveries;
DROP POLICY events_replay_update ON events;
DROP POLICY events_replay_select ON events;
REVOKE ALL ON events, event_deliveries FROM intime_bookkeeper;
