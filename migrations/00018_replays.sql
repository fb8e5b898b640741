-- Replays: a set of deliveries that was looked at first and then runs again, in batches.

-- +goose Up
SET LOCAL ROLE intime_owner;

INSERT INTO permissions (name, description) VALUES ('event:replay_all', 'Replay also what succeeded');
INSERT INTO role_permissions (role_name, permission_name, scope)
SELECT r.name, 'event:replay_all', 'all' FROM roles r WHERE r.name IN ('super_admin', 'admin');

CREATE TABLE event_replays (
    id                   uuid        NOT NULL DEFAULT app.uuid_v7(),
    org_id               uuid        NOT NULL,
    mode                 text        NOT NULL,
    status               text        NOT NULL DEFAULT 'previewed',
    filter               jsonb       NOT NULL,
    summary              jsonb       NOT NULL,
    event_count          integer     NOT NULL,
    delivery_count       integer     NOT NULL,
    batch_count          integer     NOT NULL,
    next_batch           integer     NOT NULL DEFAULT 1,
    replayed_count       integer     NOT NULL DEFAULT 0,
    replayed_event_count integer     NOT NULL DEFAULT 0,
    skipped_count        integer     NOT NULL DEFAULT 0,
    created_by           uuid,
    created_at           timestamptz NOT NULL DEFAULT now(),
    expires_at           timestamptz NOT NULL,
    started_by           uuid,
    started_at           timestamptz,
    finished_at          timestamptz,
    error_message        text,
    job_due_at           timestamptz,
    CONSTRAINT event_replays_pkey PRIMARY KEY (org_id, id),
    CONSTRAINT event_replays_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT event_replays_created_by_fkey FOREIGN KEY (org_id, created_by) REFERENCES user_profiles (org_id, id),
    CONSTRAINT event_replays_started_by_fkey FOREIGN KEY (org_id, started_by) REFERENCES user_profiles (org_id, id),
    CONSTRAINT event_replays_mode_check CHECK (mode IN ('failed', 'missing', 'everything')),
    CONSTRAINT event_replays_status_check
        CHECK (status IN ('previewed', 'running', 'paused', 'completed', 'aborted', 'failed')),
    CONSTRAINT event_replays_filter_check CHECK (jsonb_typeof(filter) = 'object' AND octet_length(filter::text) <= 65536)
);

COMMENT ON COLUMN event_replays.filter IS 'What was asked for: ids, or the filters of the list of events.';
COMMENT ON COLUMN event_replays.summary IS 'What the preview said: per handler, what is blocked and why, a sample.';
COMMENT ON COLUMN event_replays.expires_at IS 'Until when a preview can be started.';
COMMENT ON COLUMN event_replays.job_due_at IS 'When a running replay needs a job: the job that has it puts this off.';

CREATE INDEX event_replays_created_by_idx ON event_replays (org_id, created_by);
CREATE INDEX event_replays_started_by_idx ON event_replays (org_id, started_by);
CREATE INDEX event_replays_due_idx ON event_replays (job_due_at) WHERE status = 'running';

-- The frozen set. A batch is one transaction: the deliveries of at most 500 events.
CREATE TABLE event_replay_batches (
    org_id        uuid    NOT NULL,
    replay_id     uuid    NOT NULL,
    number        integer NOT NULL,
    event_ids     uuid[]  NOT NULL,
    handler_names text[]  NOT NULL,
    CONSTRAINT event_replay_batches_pkey PRIMARY KEY (org_id, replay_id, number),
    CONSTRAINT event_replay_batches_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT event_replay_batches_replay_id_fkey FOREIGN KEY (org_id, replay_id) REFERENCES event_replays (org_id, id),
    CONSTRAINT event_replay_batches_handler_names_check CHECK (cardinality(handler_names) = cardinality(event_ids))
);

ALTER TABLE event_replays ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_replays FORCE ROW LEVEL SECURITY;
ALTER TABLE event_replay_batches ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_replay_batches FORCE ROW LEVEL SECURITY;

GRANT SELECT ON event_replays, event_replay_batches TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON event_replays TO intime_bookkeeper;
GRANT SELECT, INSERT, DELETE ON event_replay_batches TO intime_bookkeeper;
GRANT SELECT, UPDATE (status, job_due_at, finished_at, error_message) ON event_replays TO intime_worker;

CREATE POLICY event_replays_select ON event_replays FOR SELECT TO authenticated
    USING (org_id = (SELECT app.org_id()) AND (SELECT app.has_permission('event:read')));
CREATE POLICY event_replays_books_select ON event_replays FOR SELECT TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()));
CREATE POLICY event_replays_books_insert ON event_replays FOR INSERT TO intime_bookkeeper
    WITH CHECK (org_id = (SELECT app.org_id()));
CREATE POLICY event_replays_books_update ON event_replays FOR UPDATE TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id())) WITH CHECK (org_id = (SELECT app.org_id()));
CREATE POLICY event_replays_books_delete ON event_replays FOR DELETE TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()));
CREATE POLICY event_replays_bus_select ON event_replays FOR SELECT TO intime_worker USING (true);
CREATE POLICY event_replays_bus_update ON event_replays FOR UPDATE TO intime_worker USING (true) WITH CHECK (true);

CREATE POLICY event_replay_batches_select ON event_replay_batches FOR SELECT TO authenticated
    USING (org_id = (SELECT app.org_id()) AND (SELECT app.has_permission('event:read')));
CREATE POLICY event_replay_batches_books_select ON event_replay_batches FOR SELECT TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()));
CREATE POLICY event_replay_batches_books_insert ON event_replay_batches FOR INSERT TO intime_bookkeeper
    WITH CHECK (org_id = (SELECT app.org_id()));
CREATE POLICY event_replay_batches_books_delete ON event_replay_batches FOR DELETE TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()));

-- Not the progress: each batch would leave a row.
CREATE TRIGGER event_replays_audit AFTER INSERT OR UPDATE OF status ON event_replays
    FOR EACH ROW EXECUTE FUNCTION app.audit_row('replay');

-- What the functions below look at and write beside that: deliveries that are missing are made, and the attempt that succeeded is kept before its delivery runs again.
GRANT INSERT ON event_deliveries TO intime_bookkeeper;
GRANT SELECT, INSERT ON event_attempts TO intime_bookkeeper;
CREATE POLICY event_deliveries_replay_insert ON event_deliveries FOR INSERT TO intime_bookkeeper
    WITH CHECK (org_id = (SELECT app.org_id()));
CREATE POLICY event_attempts_books_select ON event_attempts FOR SELECT TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()));
CREATE POLICY event_attempts_books_insert ON event_attempts FOR INSERT TO intime_bookkeeper
    WITH CHECK (org_id = (SELECT app.org_id()));

GRANT CREATE ON SCHEMA app TO intime_bookkeeper;
RESET ROLE;
SET LOCAL ROLE intime_bookkeeper;

-- The states of a delivery that a replay of the mode sets back. 'missing' is a handler that subscribes today and has no
-- delivery for the event.
-- +goose StatementBegin
CREATE FUNCTION app.replay_states(p_mode text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = ''
    AS $$
        SELECT CASE p_mode WHEN 'failed' THEN ARRAY['failed', 'dead_letter']
                           WHEN 'missing' THEN ARRAY['skipped', 'missing']
                           WHEN 'everything' THEN ARRAY['failed', 'dead_letter', 'skipped', 'missing', 'discarded', 'succeeded']
                           ELSE ARRAY[]::text[] END
    $$;
-- +goose StatementEnd

-- Whether the caller may replay in that way; raises where not.
-- +goose StatementBegin
CREATE FUNCTION app.require_replay(p_mode text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = ''
    AS $$
    DECLARE
        needed text := CASE WHEN p_mode = 'everything' THEN 'event:replay_all' ELSE 'event:replay' END;
    BEGIN
        IF app.org_id() IS NULL OR NOT app.has_permission('event:replay') OR NOT app.has_permission(needed) THEN
            RAISE EXCEPTION 'replay: the permission % is missing', needed USING ERRCODE = 'insufficient_privilege';
        END IF;
    END
    $$;
-- +goose StatementEnd

-- Looks at deliveries of the caller's organisation and freezes those that a replay would run: all of an event's where its
-- handler's name is missing in the second array, which runs in parallel, else that one. Answers what it found, and the
-- replay's id, which is NULL where there is nothing to run.
-- +goose StatementBegin
CREATE FUNCTION app.freeze_replay(
    p_event_ids uuid[], p_handler_names text[], p_mode text, p_filter jsonb, p_expires_in interval,
    OUT replay_id uuid, OUT known_count integer, OUT event_count integer, OUT delivery_count integer, OUT summary jsonb)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        org    uuid := app.org_id();
        states text[] := app.replay_states(p_mode);
    BEGIN
        PERFORM app.require_replay(p_mode);
        IF cardinality(states) = 0 THEN
            RAISE EXCEPTION 'replay: unknown mode %', coalesce(quote_literal(p_mode), 'NULL') USING ERRCODE = 'invalid_parameter_value';
        END IF;
        IF cardinality(p_event_ids) > 20000 THEN
            RAISE EXCEPTION 'replay: at most 20000 events at once' USING ERRCODE = 'invalid_parameter_value';
        END IF;
        WITH picked AS (
            SELECT DISTINCT p.id, p.handler FROM unnest(p_event_ids, p_handler_names) AS p (id, handler) WHERE p.id IS NOT NULL
        ), known AS MATERIALIZED (
            SELECT e.id, e.type, p.handler FROM picked p JOIN public.events e ON e.org_id = org AND e.id = p.id
        ), looked_at AS (
            SELECT k.id, k.type, d.handler_name, d.status
            FROM known k JOIN public.event_deliveries d ON d.org_id = org AND d.event_id = k.id
            WHERE k.handler IS NULL OR d.handler_name = k.handler
            UNION ALL
            SELECT k.id, k.type, s.handler_name, 'missing'
            FROM known k JOIN public.event_subscriptions s ON s.org_id = org AND s.event_type = k.type
            WHERE 'missing' = ANY (states) AND (k.handler IS NULL OR s.handler_name = k.handler)
              AND NOT EXISTS (SELECT FROM public.event_deliveries d
                  WHERE d.org_id = org AND d.event_id = k.id AND d.handler_name = s.handler_name)
              -- What waits for the dispatcher is not missing yet.
              AND NOT EXISTS (SELECT FROM public.event_outbox o WHERE o.org_id = org AND o.event_id = k.id)
        ), judged AS MATERIALIZED (
            SELECT l.id, l.type, l.handler_name, l.status,
                   CASE WHEN l.status IN ('pending', 'running') THEN 'in_progress'
                        WHEN l.status <> ALL (states) THEN NULL
                        WHEN h.name IS NULL OR s.is_active IS NULL THEN 'handler_unknown'
                        WHEN NOT s.is_active THEN 'handler_disabled'
                        ELSE '' END AS blocked
            FROM looked_at l
            LEFT JOIN app.event_handlers h ON h.name = l.handler_name
            LEFT JOIN public.event_subscriptions s
                ON s.org_id = org AND s.event_type = l.type AND s.handler_name = l.handler_name
        ), totals AS (
            SELECT count(DISTINCT j.id)::integer AS events, count(*)::integer AS deliveries FROM judged j WHERE j.blocked = ''
        ), batches AS (
            SELECT n.number, array_agg(n.id ORDER BY n.id, n.handler_name) AS ids,
                   array_agg(n.handler_name ORDER BY n.id, n.handler_name) AS handlers
            FROM (SELECT j.id, j.handler_name, ((dense_rank() OVER (ORDER BY j.id) - 1) / 500 + 1)::integer AS number
                  FROM judged j WHERE j.blocked = '') n
            GROUP BY n.number
        ), told AS (
            SELECT jsonb_build_object(
                'handlers', coalesce((
                    SELECT jsonb_agg(jsonb_build_object('handler_name', g.handler_name, 'delivery_count', g.wanted,
                        'succeeded_count', g.succeeded) ORDER BY g.handler_name)
                    FROM (SELECT j.handler_name, count(*) FILTER (WHERE j.blocked = '') AS wanted,
                                 count(*) FILTER (WHERE j.status = 'succeeded') AS succeeded
                          FROM judged j GROUP BY j.handler_name) g), '[]'),
                'blocked', coalesce((
                    SELECT jsonb_agg(jsonb_build_object('handler_name', g.handler_name, 'reason', g.blocked,
                        'delivery_count', g.n) ORDER BY g.handler_name, g.blocked)
                    FROM (SELECT j.handler_name, j.blocked, count(*) AS n FROM judged j
                          WHERE j.blocked <> '' GROUP BY j.handler_name, j.blocked) g), '[]'),
                'sample', coalesce((
                    SELECT jsonb_agg(jsonb_build_object('event_id', f.id, 'event_type', f.type, 'handler_name', f.handler_name,
                        'status', f.status) ORDER BY f.id DESC, f.handler_name)
                    FROM (SELECT j.* FROM judged j WHERE j.blocked = '' ORDER BY j.id DESC, j.handler_name LIMIT 10) f), '[]')
            ) AS summary
        ), frozen AS (
            INSERT INTO public.event_replays (org_id, mode, filter, summary, event_count, delivery_count, batch_count, created_by, expires_at)
            SELECT org, p_mode, coalesce(p_filter, '{}'), s.summary, t.events, t.deliveries, (SELECT count(*) FROM batches),
                   auth.uid(), clock_timestamp() + p_expires_in
            FROM totals t CROSS JOIN told s WHERE t.deliveries > 0
            RETURNING id
        ), kept AS (
            INSERT INTO public.event_replay_batches (org_id, replay_id, number, event_ids, handler_names)
            SELECT org, f.id, b.number, b.ids, b.handlers FROM frozen f CROSS JOIN batches b
        )
        SELECT (SELECT f.id FROM frozen f), (SELECT count(DISTINCT k.id) FROM known k), t.events, t.deliveries, s.summary
        INTO replay_id, known_count, event_count, delivery_count, summary
        FROM totals t CROSS JOIN told s;
    END
    $$;
-- +goose StatementEnd

-- Runs the next batch of a running replay as the caller, and answers 'more', 'wait' while the batch before has not ended,
-- 'busy' where another transaction has the replay, or 'stopped'. What stands elsewhere by now is passed over.
-- One batch is under way at a time: new events never wait behind a whole replay.
-- +goose StatementBegin
CREATE FUNCTION app.run_replay_batch(p_id uuid) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        org    uuid := app.org_id();
        r      public.event_replays;
        batch  public.event_replay_batches;
        states text[];
        part   record;
        done   integer := 0;
        back   uuid[];
        events uuid[] := '{}';
    BEGIN
        SELECT * INTO r FROM public.event_replays p WHERE p.org_id = org AND p.id = p_id FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN 'busy';
        END IF;
        IF r.status <> 'running' THEN
            RETURN 'stopped';
        END IF;
        PERFORM app.require_replay(r.mode);
        states := app.replay_states(r.mode);
        UPDATE public.event_replays p SET job_due_at = clock_timestamp() + interval '90 seconds' WHERE p.org_id = org AND p.id = p_id;
        IF EXISTS (
            SELECT FROM public.event_replay_batches b
            CROSS JOIN LATERAL unnest(b.event_ids, b.handler_names) AS i (id, handler)
            JOIN public.event_deliveries d ON d.org_id = org AND d.event_id = i.id AND d.handler_name = i.handler
            WHERE b.org_id = org AND b.replay_id = p_id AND b.number = r.next_batch - 1 AND d.status IN ('pending', 'running')
        ) THEN
            RETURN 'wait';
        END IF;
        SELECT * INTO STRICT batch FROM public.event_replay_batches b
        WHERE b.org_id = org AND b.replay_id = p_id AND b.number = r.next_batch;
        -- The events first and in one order, as everywhere where many are replayed.
        PERFORM FROM public.events e WHERE e.org_id = org AND e.id = ANY (batch.event_ids) ORDER BY e.id FOR NO KEY UPDATE;
        FOR part IN
            SELECT i.handler, array_agg(i.id ORDER BY i.id) AS ids
            FROM unnest(batch.event_ids, batch.handler_names) AS i (id, handler)
            JOIN public.event_subscriptions s ON s.org_id = org AND s.handler_name = i.handler AND s.is_active
            GROUP BY i.handler ORDER BY i.handler
        LOOP
            IF 'succeeded' = ANY (states) THEN
                -- A delivery holds the attempt that succeeded in its own row, which the next one overwrites.
                INSERT INTO public.event_attempts (org_id, event_id, handler_name, number, outcome, started_at, finished_at,
                    worker, worker_version)
                SELECT d.org_id, d.event_id, d.handler_name, d.run_count, 'succeeded', d.started_at,
                       coalesce(d.finished_at, d.started_at), d.worker, d.worker_version
                FROM public.event_deliveries d
                WHERE d.org_id = org AND d.event_id = ANY (part.ids) AND d.handler_name = part.handler
                  AND d.status = 'succeeded' AND d.started_at IS NOT NULL
                ON CONFLICT DO NOTHING;
            END IF;
            IF 'missing' = ANY (states) THEN
                INSERT INTO public.event_deliveries (org_id, event_id, handler_name, max_attempts, status, reason, finished_at)
                SELECT e.org_id, e.id, h.name, h.max_attempts, 'skipped', 'not_subscribed', clock_timestamp()
                FROM public.events e JOIN app.event_handlers h ON h.name = part.handler AND h.event_type = e.type
                WHERE e.org_id = org AND e.id = ANY (part.ids)
                ON CONFLICT DO NOTHING;
            END IF;
            back := app.requeue_deliveries(part.ids, part.handler, states, 'event.replayed');
            done := done + cardinality(back);
            events := events || back;
        END LOOP;
        UPDATE public.event_replays p
        SET next_batch = p.next_batch + 1, replayed_count = p.replayed_count + done,
            replayed_event_count = p.replayed_event_count + (SELECT count(DISTINCT b.id) FROM unnest(events) AS b (id)),
            skipped_count = p.skipped_count + cardinality(batch.event_ids) - done
        WHERE p.org_id = org AND p.id = p_id;
        IF r.next_batch >= r.batch_count THEN
            UPDATE public.event_replays p SET status = 'completed', finished_at = clock_timestamp(), job_due_at = NULL
            WHERE p.org_id = org AND p.id = p_id;
            RETURN 'stopped';
        END IF;
        RETURN 'more';
    END
    $$;
-- +goose StatementEnd

-- Starts a replay that was previewed: a small one is done when this commits, a large one gets a job. Answers 'started',
-- 'known' where it was started before, 'expired', or NULL where there is none.
-- +goose StatementBegin
CREATE FUNCTION app.start_replay(p_id uuid) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        r public.event_replays;
    BEGIN
        SELECT * INTO r FROM public.event_replays p WHERE p.org_id = app.org_id() AND p.id = p_id FOR NO KEY UPDATE;
        PERFORM app.require_replay(coalesce(r.mode, 'failed'));
        CASE
            WHEN r.id IS NULL THEN
                RETURN NULL;
            WHEN r.status <> 'previewed' THEN
                RETURN 'known';
            WHEN r.expires_at <= clock_timestamp() THEN
                RETURN 'expired';
            ELSE
                UPDATE public.event_replays p
                SET status = 'running', started_by = auth.uid(), started_at = clock_timestamp(), job_due_at = clock_timestamp()
                WHERE p.org_id = r.org_id AND p.id = p_id;
        END CASE;
        IF r.batch_count = 1 THEN
            PERFORM app.run_replay_batch(p_id);
        END IF;
        RETURN 'started';
    END
    $$;
-- +goose StatementEnd

-- Pauses, resumes or aborts a replay. What was set back stays so. Answers false where its state does not allow that, and
-- NULL where there is none. Asking for the state it is in changes nothing.
-- +goose StatementBegin
CREATE FUNCTION app.steer_replay(p_id uuid, p_status text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        r public.event_replays;
    BEGIN
        SELECT * INTO r FROM public.event_replays p WHERE p.org_id = app.org_id() AND p.id = p_id FOR NO KEY UPDATE;
        PERFORM app.require_replay(coalesce(r.mode, 'failed'));
        IF r.id IS NULL THEN
            RETURN NULL;
        END IF;
        IF r.status = p_status THEN
            RETURN true;
        END IF;
        IF NOT (p_status = 'paused' AND r.status = 'running' OR p_status = 'running' AND r.status = 'paused'
                OR p_status = 'aborted' AND r.status IN ('previewed', 'running', 'paused')) THEN
            RETURN false;
        END IF;
        UPDATE public.event_replays p
        SET status = p_status, job_due_at = CASE WHEN p_status = 'running' THEN clock_timestamp() END,
            finished_at = CASE WHEN p_status = 'aborted' THEN clock_timestamp() END
        WHERE p.org_id = r.org_id AND p.id = p_id;
        RETURN true;
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.freeze_replay(uuid[], text[], text, jsonb, interval), app.run_replay_batch(uuid),
    app.start_replay(uuid), app.steer_replay(uuid, text) TO authenticated;

RESET ROLE;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_bookkeeper;

RESET ROLE;

-- +goose Down
DROP FUNCTION app.steer_replay(uuid, text), app.start_replay(uuid), app.run_replay_batch(uuid),
    app.freeze_replay(uuid[], text[], text, jsonb, interval), app.require_replay(text), app.replay_states(text);
DROP POLICY event_attempts_books_insert ON event_attempts;
DROP POLICY event_attempts_books_select ON event_attempts;
DROP POLICY event_deliveries_replay_insert ON event_deliveries;
REVOKE SELECT, INSERT ON event_attempts FROM intime_bookkeeper;
REVOKE INSERT ON event_deliveries FROM intime_bookkeeper;
DROP TABLE event_replay_batches, event_replays;
DELETE FROM role_permissions WHERE permission_name = 'event:replay_all';
DELETE FROM permissions WHERE name = 'event:replay_all';
