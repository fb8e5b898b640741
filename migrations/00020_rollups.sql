-- How the bus fares: what was published and what became of it, counted by the minute and the hour, and the programs that
-- handle events. Nothing here is on the way of an event: a periodic job counts, from the rows that are there anyway.

-- +goose Up
SET LOCAL ROLE intime_owner;

-- An event counts in the minute and the hour in which it was published, whenever it was handled: what is shown for an hour
-- is what the list of that hour's events shows.
CREATE TABLE event_rollups (
    org_id          uuid        NOT NULL,
    grain           text        NOT NULL,
    bucket          timestamptz NOT NULL,
    event_type      text        NOT NULL,
    handler_name    text        NOT NULL,
    total           integer     NOT NULL,
    succeeded       integer     NOT NULL,
    dead_lettered   integer     NOT NULL,
    skipped         integer     NOT NULL,
    unfinished      integer     NOT NULL,
    failed_attempts integer     NOT NULL,
    wait_us         bigint      NOT NULL,
    waits           integer[],
    run_us          bigint      NOT NULL,
    runs            integer[],
    handled_us      bigint      NOT NULL,
    handled         integer[],
    CONSTRAINT event_rollups_pkey PRIMARY KEY (org_id, grain, bucket, event_type, handler_name),
    CONSTRAINT event_rollups_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT event_rollups_grain_check CHECK (grain IN ('minute', 'hour'))
);
COMMENT ON COLUMN event_rollups.bucket IS 'When the minute or hour begins.';
COMMENT ON COLUMN event_rollups.handler_name IS 'The handler whose deliveries are counted; empty where the events themselves are.';
COMMENT ON COLUMN event_rollups.unfinished IS 'Waits, runs, or failed and will be tried again.';
COMMENT ON COLUMN event_rollups.failed_attempts IS 'Attempts that ended badly; what was interrupted is none.';
COMMENT ON COLUMN event_rollups.wait_us IS 'From the publication to the start of the attempt that succeeded, in microseconds, summed; without replays, which wait for a person.';
COMMENT ON COLUMN event_rollups.waits IS 'The same as a histogram: how many were in each slot between app.duration_bounds(), up to the last slot that has any.';
COMMENT ON COLUMN event_rollups.run_us IS 'How long attempts ran, good and bad, in microseconds, summed.';
COMMENT ON COLUMN event_rollups.handled_us IS 'Of events: from the publication to the end of the last delivery, in microseconds, summed; without replays and what was discarded.';

-- Minutes and hours to count once more: something in them had not ended when they were counted, or was replayed since.
-- Rows are only added and taken away, so that two replays of one minute do not wait for each other.
CREATE TABLE event_rollup_marks (
    org_id     uuid        NOT NULL,
    id         uuid        NOT NULL DEFAULT app.uuid_v7(),
    bucket     timestamptz NOT NULL,
    touched_at timestamptz NOT NULL DEFAULT now(),
    due_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT event_rollup_marks_pkey PRIMARY KEY (org_id, id),
    CONSTRAINT event_rollup_marks_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id)
);
COMMENT ON COLUMN event_rollup_marks.touched_at IS 'Since when it is open: the older that is, the seldomer it is counted.';
CREATE INDEX event_rollup_marks_due_idx ON event_rollup_marks (due_at);

-- How far the counting has come. One row.
CREATE TABLE app.event_rollup_state (
    one           boolean     NOT NULL DEFAULT true,
    counted_until timestamptz,
    minutes_from  timestamptz,
    CONSTRAINT event_rollup_state_pkey PRIMARY KEY (one),
    CONSTRAINT event_rollup_state_one_check CHECK (one)
);
INSERT INTO app.event_rollup_state DEFAULT VALUES;
COMMENT ON COLUMN app.event_rollup_state.counted_until IS 'Every whole minute before it is counted; NULL before the first run.';
COMMENT ON COLUMN app.event_rollup_state.minutes_from IS 'The first hour that still has its minutes.';

-- The programs that handle events: each says every few seconds that it is there.
CREATE TABLE app.event_workers (
    name          text        NOT NULL,
    version       text        NOT NULL,
    handler_names text[]      NOT NULL,
    started_at    timestamptz NOT NULL DEFAULT now(),
    seen_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT event_workers_pkey PRIMARY KEY (name)
);

-- The errors of one handler, newest first.
CREATE INDEX event_attempts_handler_idx ON event_attempts (org_id, handler_name, event_id);

ALTER TABLE event_rollups ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_rollups FORCE ROW LEVEL SECURITY;
ALTER TABLE event_rollup_marks ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_rollup_marks FORCE ROW LEVEL SECURITY;

GRANT SELECT ON event_rollups, app.event_rollup_state, app.event_workers TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON event_rollups TO intime_worker;
GRANT SELECT, INSERT, DELETE ON event_rollup_marks TO intime_worker;
GRANT INSERT ON event_rollup_marks TO intime_bookkeeper;
GRANT SELECT, UPDATE ON app.event_rollup_state TO intime_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON app.event_workers TO intime_worker;

CREATE POLICY event_rollups_select ON event_rollups FOR SELECT TO authenticated
    USING (org_id = (SELECT app.org_id()) AND (SELECT app.has_permission('event:read')));
CREATE POLICY event_rollups_bus_select ON event_rollups FOR SELECT TO intime_worker USING (true);
CREATE POLICY event_rollups_bus_insert ON event_rollups FOR INSERT TO intime_worker WITH CHECK (true);
CREATE POLICY event_rollups_bus_update ON event_rollups FOR UPDATE TO intime_worker USING (true) WITH CHECK (true);
CREATE POLICY event_rollups_bus_delete ON event_rollups FOR DELETE TO intime_worker USING (true);
CREATE POLICY event_rollup_marks_bus_select ON event_rollup_marks FOR SELECT TO intime_worker USING (true);
CREATE POLICY event_rollup_marks_bus_insert ON event_rollup_marks FOR INSERT TO intime_worker WITH CHECK (true);
CREATE POLICY event_rollup_marks_bus_delete ON event_rollup_marks FOR DELETE TO intime_worker USING (true);
CREATE POLICY event_rollup_marks_books_insert ON event_rollup_marks FOR INSERT TO intime_bookkeeper WITH CHECK (true);

-- The upper bounds of a histogram's slots, in milliseconds; what is above the last is in one more. About six per decade,
-- so that a percentile is off by a fifth at most, up to a minute; beyond it nobody needs to know so exactly.
-- +goose StatementBegin
CREATE FUNCTION app.duration_bounds() RETURNS float8[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = ''
    AS $$
        SELECT ARRAY[0.5, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000,
            7000, 10000, 15000, 20000, 30000, 45000, 60000, 120000, 300000, 600000, 1800000, 3600000, 21600000, 86400000]::float8[]
    $$;
-- +goose StatementEnd

-- The histogram of durations in microseconds; NULL of none.
-- +goose StatementBegin
CREATE FUNCTION app.histogram(p_us bigint[]) RETURNS integer[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = ''
    AS $$
        WITH counts AS (
            SELECT width_bucket(u.us / 1000.0::float8, app.duration_bounds()) + 1 AS slot, count(*)::integer AS n
            FROM unnest(p_us) AS u (us) GROUP BY 1
        )
        SELECT array_agg(coalesce(c.n, 0) ORDER BY s.slot)
        FROM generate_series(1, (SELECT max(slot) FROM counts)) AS s (slot) LEFT JOIN counts c ON c.slot = s.slot
    $$;
-- +goose StatementEnd

-- Counts the events that an organisation published in a range of time, by minute or hour, type and handler: the one place
-- that says what counts. The roll-ups are made with it, and what they do not have yet is counted with it when it is asked
-- for. The attempt that succeeded is the delivery's own row; event_attempts has the others.
-- +goose StatementBegin
CREATE FUNCTION app.count_events(p_org_id uuid, p_from timestamptz, p_until timestamptz, p_grain text)
    RETURNS TABLE (bucket timestamptz, event_type text, handler_name text, total integer, succeeded integer,
        dead_lettered integer, skipped integer, unfinished integer, failed_attempts integer,
        wait_us bigint, waits integer[], run_us bigint, runs integer[], handled_us bigint, handled integer[])
    LANGUAGE plpgsql STABLE SECURITY INVOKER
    SET search_path = ''
    AS $$
    DECLARE
        -- The publisher's clock makes the id, the database's the time: they may be a little apart.
        first_id uuid := app.uuid_v7_floor(p_from - interval '1 minute');
        last_id  uuid := app.uuid_v7_floor(p_until + interval '1 minute');
    BEGIN
        RETURN QUERY
        WITH e AS MATERIALIZED (
            SELECT v.id, v.type::text, v.status, v.published_at, v.processed_at,
                   -- A person ended it: what was replayed, and what has an error and yet ended, for it was discarded.
                   v.metadata ? 'replayed' OR v.status = 'processed' AND v.error_message IS NOT NULL AS by_hand,
                   v.metadata ? 'replayed' AS replayed,
                   date_trunc(p_grain, v.published_at, 'UTC') AS bucket
            FROM public.events v
            WHERE v.org_id = p_org_id AND v.id >= first_id AND v.id < last_id
              AND v.published_at >= p_from AND v.published_at < p_until
        ), facts AS (
            SELECT e.bucket, e.type, '' AS handler, 1 AS total, e.status = 'processed' AS succeeded,
                   e.status = 'dead_letter' AS dead_lettered, false AS skipped, e.status IN ('pending', 'failed') AS unfinished,
                   false AS failed_attempt, NULL::interval AS wait, NULL::interval AS run,
                   CASE WHEN e.status = 'processed' AND NOT e.by_hand THEN e.processed_at - e.published_at END AS handled
            FROM e
            UNION ALL
            SELECT e.bucket, e.type, d.handler_name, 1, d.status = 'succeeded', d.status = 'dead_letter', d.status = 'skipped',
                   d.status IN ('pending', 'running', 'failed'), false,
                   CASE WHEN d.status = 'succeeded' AND NOT e.replayed THEN d.started_at - e.published_at END,
                   CASE WHEN d.status = 'succeeded' THEN d.finished_at - d.started_at END, NULL
            FROM e JOIN public.event_deliveries d ON d.event_id = e.id
            WHERE d.org_id = p_org_id AND d.event_id >= first_id AND d.event_id < last_id
            UNION ALL
            -- When a crash ended the attempt nobody knows.
            SELECT e.bucket, e.type, a.handler_name, 0, false, false, false, false, true, NULL,
                   CASE WHEN a.outcome <> 'crashed' THEN a.finished_at - a.started_at END, NULL
            FROM e JOIN public.event_attempts a ON a.event_id = e.id
            WHERE a.org_id = p_org_id AND a.event_id >= first_id AND a.event_id < last_id
              AND a.outcome NOT IN ('succeeded', 'interrupted')
        ), measured AS (
            SELECT f.*, (extract(epoch FROM f.wait) * 1000000)::bigint AS wait_in_us,
                   (extract(epoch FROM f.run) * 1000000)::bigint AS run_in_us,
                   (extract(epoch FROM f.handled) * 1000000)::bigint AS handled_in_us
            FROM facts f
        )
        SELECT m.bucket, m.type, m.handler, sum(m.total)::integer, (count(*) FILTER (WHERE m.succeeded))::integer,
               (count(*) FILTER (WHERE m.dead_lettered))::integer, (count(*) FILTER (WHERE m.skipped))::integer,
               (count(*) FILTER (WHERE m.unfinished))::integer, (count(*) FILTER (WHERE m.failed_attempt))::integer,
               coalesce(sum(m.wait_in_us), 0)::bigint,
               app.histogram(array_agg(m.wait_in_us) FILTER (WHERE m.wait_in_us IS NOT NULL)),
               coalesce(sum(m.run_in_us), 0)::bigint,
               app.histogram(array_agg(m.run_in_us) FILTER (WHERE m.run_in_us IS NOT NULL)),
               coalesce(sum(m.handled_in_us), 0)::bigint,
               app.histogram(array_agg(m.handled_in_us) FILTER (WHERE m.handled_in_us IS NOT NULL))
        FROM measured m
        GROUP BY m.bucket, m.type, m.handler;
    END
    $$;
-- +goose StatementEnd

-- Counts a range of an organisation and writes down what changed. Nothing is taken away: what is counted stays, also when
-- the events themselves have gone. Hours follow from their minutes.
-- +goose StatementBegin
CREATE FUNCTION app.recount_events(p_org_id uuid, p_from timestamptz, p_until timestamptz, p_grain text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    BEGIN
        INSERT INTO public.event_rollups AS r (org_id, grain, bucket, event_type, handler_name, total, succeeded, dead_lettered,
            skipped, unfinished, failed_attempts, wait_us, waits, run_us, runs, handled_us, handled)
        SELECT p_org_id, p_grain, c.* FROM app.count_events(p_org_id, p_from, p_until, p_grain) c
        ON CONFLICT ON CONSTRAINT event_rollups_pkey DO UPDATE
        SET total = excluded.total, succeeded = excluded.succeeded, dead_lettered = excluded.dead_lettered,
            skipped = excluded.skipped, unfinished = excluded.unfinished, failed_attempts = excluded.failed_attempts,
            wait_us = excluded.wait_us, waits = excluded.waits, run_us = excluded.run_us, runs = excluded.runs,
            handled_us = excluded.handled_us, handled = excluded.handled
        WHERE r IS DISTINCT FROM excluded;
        IF p_grain = 'minute' THEN
            PERFORM app.sum_minutes(p_org_id, h.hour)
            FROM generate_series(date_trunc('hour', p_from, 'UTC'), p_until - interval '1 microsecond', interval '1 hour') AS h (hour);
        END IF;
    END
    $$;
-- +goose StatementEnd

-- Makes an hour out of its minutes.
-- +goose StatementBegin
CREATE FUNCTION app.sum_minutes(p_org_id uuid, p_hour timestamptz) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    BEGIN
        INSERT INTO public.event_rollups AS r (org_id, grain, bucket, event_type, handler_name, total, succeeded, dead_lettered,
            skipped, unfinished, failed_attempts, wait_us, waits, run_us, runs, handled_us, handled)
        WITH minutes AS MATERIALIZED (
            SELECT m.* FROM public.event_rollups m
            WHERE m.org_id = p_org_id AND m.grain = 'minute' AND m.bucket >= p_hour AND m.bucket < p_hour + interval '1 hour'
        ), slots AS (
            SELECT m.event_type, m.handler_name, k.kind, u.slot, sum(u.n)::integer AS n
            FROM minutes m
            CROSS JOIN LATERAL (VALUES ('wait', m.waits), ('run', m.runs), ('handled', m.handled)) AS k (kind, histogram)
            CROSS JOIN LATERAL unnest(k.histogram) WITH ORDINALITY AS u (n, slot)
            GROUP BY m.event_type, m.handler_name, k.kind, u.slot
        ), histograms AS (
            SELECT s.event_type, s.handler_name, array_agg(s.n ORDER BY s.slot) FILTER (WHERE s.kind = 'wait') AS waits,
                   array_agg(s.n ORDER BY s.slot) FILTER (WHERE s.kind = 'run') AS runs,
                   array_agg(s.n ORDER BY s.slot) FILTER (WHERE s.kind = 'handled') AS handled
            FROM slots s GROUP BY s.event_type, s.handler_name
        )
        SELECT p_org_id, 'hour', p_hour, m.event_type, m.handler_name, sum(m.total), sum(m.succeeded), sum(m.dead_lettered),
               sum(m.skipped), sum(m.unfinished), sum(m.failed_attempts), sum(m.wait_us), h.waits, sum(m.run_us), h.runs,
               sum(m.handled_us), h.handled
        FROM minutes m LEFT JOIN histograms h ON h.event_type = m.event_type AND h.handler_name = m.handler_name
        GROUP BY m.event_type, m.handler_name, h.waits, h.runs, h.handled
        ON CONFLICT ON CONSTRAINT event_rollups_pkey DO UPDATE
        SET total = excluded.total, succeeded = excluded.succeeded, dead_lettered = excluded.dead_lettered,
            skipped = excluded.skipped, unfinished = excluded.unfinished, failed_attempts = excluded.failed_attempts,
            wait_us = excluded.wait_us, waits = excluded.waits, run_us = excluded.run_us, runs = excluded.runs,
            handled_us = excluded.handled_us, handled = excluded.handled
        WHERE r IS DISTINCT FROM excluded;
    END
    $$;
-- +goose StatementEnd

-- One step of the counting, an hour at most; true when there is more to count. The last ten minutes are counted again at
-- every run, for publications that commit late and handlers that end; what is still open then gets a mark. After a day
-- the minutes go, and their hour is counted once more from the events themselves. A first run begins at the oldest event.
-- +goose StatementBegin
CREATE FUNCTION app.roll_up_events(p_now timestamptz) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    DECLARE
        settling CONSTANT interval := interval '10 minutes';
        this_minute timestamptz := date_trunc('minute', p_now, 'UTC');
        state       app.event_rollup_state;
        first       timestamptz;
        upto        timestamptz;
    BEGIN
        -- Two at once take turns.
        SELECT * INTO STRICT state FROM app.event_rollup_state s FOR NO KEY UPDATE;
        IF state.counted_until IS NULL THEN
            SELECT date_trunc('hour', coalesce(min(e.published_at), p_now), 'UTC') INTO state.counted_until
            FROM public.organizations o CROSS JOIN LATERAL (
                SELECT v.published_at FROM public.events v WHERE v.org_id = o.id ORDER BY v.id LIMIT 1) e;
            state.minutes_from := state.counted_until;
        END IF;
        IF state.minutes_from < date_trunc('hour', p_now - interval '26 hours', 'UTC') THEN
            first := state.minutes_from;
            upto := first + interval '1 hour';
            PERFORM app.recount_events(o.id, first, upto, 'hour') FROM public.organizations o;
            DELETE FROM public.event_rollups r USING public.organizations o
            WHERE r.org_id = o.id AND r.grain = 'minute' AND r.bucket < upto;
            INSERT INTO public.event_rollup_marks (org_id, bucket, touched_at, due_at)
            SELECT DISTINCT r.org_id, r.bucket, upto, p_now + interval '1 minute'
            FROM public.organizations o JOIN public.event_rollups r ON r.org_id = o.id AND r.grain = 'hour' AND r.bucket = first
            WHERE r.unfinished > 0 AND NOT EXISTS (
                SELECT FROM public.event_rollup_marks k WHERE k.org_id = r.org_id AND k.bucket >= first AND k.bucket < upto);
            UPDATE app.event_rollup_state s SET minutes_from = upto, counted_until = greatest(state.counted_until, upto);
            RETURN true;
        END IF;
        first := greatest(state.counted_until - settling, state.minutes_from);
        upto := least(this_minute, date_trunc('hour', state.counted_until, 'UTC') + interval '1 hour');
        PERFORM app.recount_events(o.id, first, upto, 'minute') FROM public.organizations o;
        INSERT INTO public.event_rollup_marks (org_id, bucket, touched_at, due_at)
        SELECT DISTINCT r.org_id, r.bucket, r.bucket, p_now + interval '1 minute'
        FROM public.organizations o
        JOIN public.event_rollups r ON r.org_id = o.id AND r.grain = 'minute' AND r.bucket >= first AND r.bucket < upto - settling
        WHERE r.unfinished > 0;
        UPDATE app.event_rollup_state s SET counted_until = greatest(state.counted_until, upto), minutes_from = state.minutes_from;
        RETURN upto < this_minute;
    END
    $$;
-- +goose StatementEnd

-- Counts what is marked and due once more, up to p_limit marks, and answers how many those were. What is open even then is
-- looked at again after a tenth of the time that it has been open, at least a minute and at most six hours.
-- +goose StatementBegin
CREATE FUNCTION app.recount_marked(p_now timestamptz, p_limit integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    DECLARE
        state app.event_rollup_state;
        m     record;
        done  integer := 0;
    BEGIN
        SELECT * INTO STRICT state FROM app.event_rollup_state s FOR NO KEY UPDATE;
        FOR m IN
            WITH due AS (
                SELECT k.org_id, k.id FROM public.event_rollup_marks k WHERE k.due_at <= p_now ORDER BY k.due_at LIMIT p_limit
            ), taken AS (
                DELETE FROM public.event_rollup_marks k USING due d WHERE k.org_id = d.org_id AND k.id = d.id
                RETURNING k.org_id, k.bucket, k.touched_at
            ), placed AS (
                SELECT t.org_id, t.touched_at, t.bucket, CASE WHEN t.bucket < state.minutes_from THEN 'hour' ELSE 'minute' END AS grain
                FROM taken t
            )
            SELECT p.org_id, p.grain, date_trunc(p.grain, p.bucket, 'UTC') AS bucket, max(p.touched_at) AS touched_at, count(*) AS marks
            FROM placed p GROUP BY 1, 2, 3
        LOOP
            done := done + m.marks;
            -- Taken away first and counted then: who marks it in between marks it anew.
            PERFORM app.recount_events(m.org_id, m.bucket, m.bucket + ('1 ' || m.grain)::interval, m.grain);
            INSERT INTO public.event_rollup_marks (org_id, bucket, touched_at, due_at)
            SELECT m.org_id, m.bucket, m.touched_at,
                   p_now + least(greatest((p_now - m.touched_at) / 10, interval '1 minute'), interval '6 hours')
            WHERE EXISTS (SELECT FROM public.event_rollups r
                WHERE r.org_id = m.org_id AND r.grain = m.grain AND r.bucket = m.bucket AND r.unfinished > 0);
        END LOOP;
        RETURN done;
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.duration_bounds(), app.histogram(bigint[]),
    app.count_events(uuid, timestamptz, timestamptz, text) TO authenticated, intime_worker;
GRANT EXECUTE ON FUNCTION app.recount_events(uuid, timestamptz, timestamptz, text), app.sum_minutes(uuid, timestamptz),
    app.roll_up_events(timestamptz), app.recount_marked(timestamptz, integer) TO intime_worker;

GRANT CREATE ON SCHEMA app TO intime_bookkeeper;
RESET ROLE;
SET LOCAL ROLE intime_bookkeeper;

-- Marks the minute of an event that is replayed.
-- +goose StatementBegin
CREATE FUNCTION app.mark_rollup() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = ''
    AS $$
    BEGIN
        INSERT INTO public.event_rollup_marks (org_id, bucket) VALUES (NEW.org_id, date_trunc('minute', NEW.published_at, 'UTC'));
        RETURN NULL;
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.mark_rollup() TO intime_owner;
RESET ROLE;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_bookkeeper;

-- Only replays write an event's metadata: publishing and handling never come here.
CREATE TRIGGER events_replayed AFTER UPDATE OF metadata ON events
    FOR EACH ROW EXECUTE FUNCTION app.mark_rollup();

RESET ROLE;

-- +goose Down
DROP TRIGGER events_replayed ON events;
DROP FUNCTION app.mark_rollup(), app.recount_marked(timestamptz, integer), app.roll_up_events(timestamptz),
    app.sum_minutes(uuid, timestamptz), app.recount_events(uuid, timestamptz, timestamptz, text),
    app.count_events(uuid, timestamptz, timestamptz, text), app.histogram(bigint[]), app.duration_bounds();
DROP INDEX event_attempts_handler_idx;
DROP TABLE app.event_workers, app.event_rollup_state, event_rollup_marks, event_rollups;
