-- Dead letters: archived when they are old, or discarded by somebody who says why.

-- +goose Up
SET LOCAL ROLE intime_owner;

-- Archived in place: a delivery that moved would take its attempts and its event along, and could not be replayed.
CREATE DOMAIN app.event_discard_reason AS text
    CONSTRAINT event_deliveries_discard_reason_check CHECK (length(VALUE) BETWEEN 10 AND 500);
ALTER TABLE event_deliveries
    ADD COLUMN archived_at timestamptz,
    ADD COLUMN discard_reason app.event_discard_reason,
    DROP CONSTRAINT event_deliveries_status_check,
    ADD CONSTRAINT event_deliveries_status_check
        CHECK (status IN ('pending', 'running', 'succeeded', 'failed', 'dead_letter', 'skipped', 'discarded'));

COMMENT ON COLUMN event_deliveries.archived_at IS 'When a dead letter left the list. It counts while it is not before finished_at: who was replayed and died again is no archived one.';
COMMENT ON COLUMN event_deliveries.discard_reason IS 'Why somebody discarded it; who, tells the audit log.';

-- A discarded delivery settles its event as the worker's own functions do.
GRANT EXECUTE ON FUNCTION app.settle_event(uuid, uuid) TO intime_bookkeeper;

GRANT CREATE ON SCHEMA app TO intime_bookkeeper;
RESET ROLE;
SET LOCAL ROLE intime_bookkeeper;

-- Discards dead letters of the caller's organisation, named by two arrays that run in parallel. What is no dead letter is
-- skipped.
-- +goose StatementBegin
CREATE FUNCTION app.discard_dead_letters(p_event_ids uuid[], p_handler_names text[], p_reason text,
    OUT discarded integer, OUT skipped integer, OUT not_found integer)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        org    uuid := app.org_id();
        claims jsonb := auth.jwt();
        known  integer;
        ended  record;
        events uuid[] := '{}';
    BEGIN
        PERFORM app.require_replay('failed');
        PERFORM FROM public.events e WHERE e.org_id = org AND e.id = ANY (p_event_ids) ORDER BY e.id FOR NO KEY UPDATE;
        SELECT count(*) INTO known
        FROM (SELECT DISTINCT p.id, p.handler FROM unnest(p_event_ids, p_handler_names) AS p (id, handler)) p
        JOIN public.event_deliveries d ON d.org_id = org AND d.event_id = p.id AND d.handler_name = p.handler;
        discarded := 0;
        FOR ended IN
            UPDATE public.event_deliveries d
            SET status = 'discarded', reason = 'discarded', discard_reason = p_reason, finished_at = clock_timestamp()
            FROM (SELECT DISTINCT p.id, p.handler FROM unnest(p_event_ids, p_handler_names) AS p (id, handler)) p
            WHERE d.org_id = org AND d.event_id = p.id AND d.handler_name = p.handler AND d.status = 'dead_letter'
            RETURNING d.event_id, d.handler_name
        LOOP
            discarded := discarded + 1;
            events := events || ended.event_id;
            PERFORM app.settle_event(org, ended.event_id);
            INSERT INTO public.audit_logs (org_id, actor_id, actor_kind, action, table_name, record_id, new_values,
                request_id, ip_address, user_agent)
            VALUES (org, auth.uid(), app.actor_kind(), 'event.discarded', 'events', ended.event_id::text,
                jsonb_build_object('handler', ended.handler_name, 'reason', p_reason),
                claims ->> 'request_id', (claims ->> 'ip')::inet, claims ->> 'user_agent');
        END LOOP;
        -- They count as dead letters no more, however long ago they were published.
        INSERT INTO public.event_rollup_marks (org_id, bucket)
        SELECT DISTINCT org, date_trunc('minute', e.published_at, 'UTC') FROM public.events e
        WHERE e.org_id = org AND e.id = ANY (events);
        skipped := known - discarded;
        not_found := (SELECT count(*) FROM (SELECT DISTINCT p.id, p.handler FROM unnest(p_event_ids, p_handler_names) AS p (id, handler)) p)
            - known;
    END
    $$;
-- +goose StatementEnd

-- Archives up to p_limit dead letters of the system's organisation that are older than p_age, and answers how many.
-- +goose StatementBegin
CREATE FUNCTION app.archive_dead_letters(p_age interval, p_limit integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        org      uuid := app.org_id();
        archived integer;
    BEGIN
        IF NOT app.is_system() THEN
            RAISE EXCEPTION 'archive_dead_letters: for the system alone' USING ERRCODE = 'insufficient_privilege';
        END IF;
        UPDATE public.event_deliveries d SET archived_at = clock_timestamp()
        FROM (
            SELECT v.event_id, v.handler_name
            FROM public.events e JOIN public.event_deliveries v ON v.org_id = org AND v.event_id = e.id
            WHERE e.org_id = org AND e.status = 'dead_letter' AND e.id < app.uuid_v7_floor(now() - p_age)
              AND v.status = 'dead_letter' AND v.finished_at < now() - p_age
              AND (v.archived_at IS NULL OR v.archived_at < v.finished_at)
            ORDER BY v.event_id, v.handler_name LIMIT p_limit FOR UPDATE OF v SKIP LOCKED
        ) old
        WHERE d.org_id = org AND d.event_id = old.event_id AND d.handler_name = old.handler_name;
        GET DIAGNOSTICS archived = ROW_COUNT;
        RETURN archived;
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.discard_dead_letters(uuid[], text[], text), app.archive_dead_letters(interval, integer) TO authenticated;

RESET ROLE;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_bookkeeper;

RESET ROLE;

-- +goose Down
DROP FUNCTION app.archive_dead_letters(interval, integer), app.discard_dead_letters(uuid[], text[], text);
REVOKE EXECUTE ON FUNCTION app.settle_event(uuid, uuid) FROM intime_bookkeeper;
SET LOCAL row_security = on;
SET LOCAL ROLE intime_owner;
-- The state is told by its reason from here on.
ALTER TABLE event_deliveries NO FORCE ROW LEVEL SECURITY;
UPDATE event_deliveries SET status = 'skipped' WHERE status = 'discarded';
ALTER TABLE event_deliveries FORCE ROW LEVEL SECURITY;
ALTER TABLE event_deliveries
    DROP CONSTRAINT event_deliveries_status_check,
    ADD CONSTRAINT event_deliveries_status_check
        CHECK (status IN ('pending', 'running', 'succeeded', 'failed', 'dead_letter', 'skipped')),
    DROP COLUMN discard_reason,
    DROP COLUMN archived_at;
DROP DOMAIN app.event_discard_reason;
RESET ROLE;
