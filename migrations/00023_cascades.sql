-- Cascades: what a handler publishes continues the event it handles, whichever way it publishes, and ends at the limits.

-- +goose Up
SET LOCAL ROLE intime_owner;

-- One row per first event whose handlers published something. Its lock is held until the handler's transaction ends, so
-- that the count is exact: handlers of one cascade that publish do so one after the other.
CREATE TABLE event_cascades (
    correlation_id    uuid    NOT NULL,
    org_id            uuid    NOT NULL,
    publication_count integer NOT NULL DEFAULT 0,
    refused_count     integer NOT NULL DEFAULT 0,
    run               text    NOT NULL DEFAULT '',
    run_count         integer NOT NULL DEFAULT 0,
    CONSTRAINT event_cascades_pkey PRIMARY KEY (org_id, correlation_id),
    CONSTRAINT event_cascades_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id)
) PARTITION BY RANGE (correlation_id);

COMMENT ON COLUMN event_cascades.correlation_id IS 'The id of the cascade''s first event.';
COMMENT ON COLUMN event_cascades.publication_count IS 'What handlers published in it.';
COMMENT ON COLUMN event_cascades.refused_count IS 'How many runs were refused at a limit.';
COMMENT ON COLUMN event_cascades.run IS 'The run that published last: its transaction, event and handler.';
COMMENT ON COLUMN event_cascades.run_count IS 'What that run has published.';

SELECT app.partition_by_month('event_cascades');

ALTER TABLE event_cascades ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_cascades FORCE ROW LEVEL SECURITY;

GRANT SELECT, INSERT, UPDATE, DELETE ON event_cascades TO intime_bookkeeper;
CREATE POLICY event_cascades_books_select ON event_cascades FOR SELECT TO intime_bookkeeper USING (true);
CREATE POLICY event_cascades_books_insert ON event_cascades FOR INSERT TO intime_bookkeeper WITH CHECK (true);
CREATE POLICY event_cascades_books_update ON event_cascades FOR UPDATE TO intime_bookkeeper USING (true) WITH CHECK (true);
CREATE POLICY event_cascades_books_delete ON event_cascades FOR DELETE TO intime_bookkeeper USING (true);

GRANT CREATE ON SCHEMA app TO intime_bookkeeper, intime_membership;
RESET ROLE;
SET LOCAL ROLE intime_membership;
GRANT EXECUTE ON FUNCTION app.in_handler() TO intime_bookkeeper;
RESET ROLE;
SET LOCAL ROLE intime_bookkeeper;

-- Puts what a handler publishes in its place behind the event it handles, and holds it to the limits: not the type it
-- handles, at most 3 events one behind the other after the first, 100 per run, 1,000 per cascade. What the row says of
-- its own place does not count.
-- +goose StatementBegin
CREATE FUNCTION app.continue_cascade() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        handled   uuid := (auth.jwt() -> 'run' ->> 'event_id')::uuid;
        this_run  text;
        cause     record;
        published record;
    BEGIN
        IF handled IS NULL OR NOT app.in_handler() THEN
            RETURN NEW;
        END IF;
        SELECT e.type, e.correlation_id, e.depth INTO cause FROM public.events e
        WHERE e.org_id = (SELECT app.org_id()) AND e.id = handled;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'A handler publishes in its event''s organisation.' USING ERRCODE = 'insufficient_privilege';
        END IF;
        IF NEW.type = cause.type THEN
            RAISE EXCEPTION 'A handler of % may not publish %.', cause.type, NEW.type
                USING ERRCODE = 'program_limit_exceeded', CONSTRAINT = 'event_cascades_own_type';
        END IF;
        IF cause.depth >= 3 THEN
            RAISE EXCEPTION 'A cascade has at most 3 events after its first.'
                USING ERRCODE = 'program_limit_exceeded', CONSTRAINT = 'event_cascades_depth';
        END IF;
        NEW.correlation_id := cause.correlation_id;
        NEW.causation_id := handled;
        NEW.depth := cause.depth + 1;
        IF NEW.source <> 'sql' THEN
            NEW.source := 'handler';
        END IF;
        this_run := concat_ws(' ', pg_catalog.pg_current_xact_id(), handled, auth.jwt() -> 'run' ->> 'handler');
        INSERT INTO public.event_cascades AS c (org_id, correlation_id, publication_count, run, run_count)
        VALUES (NEW.org_id, cause.correlation_id, 1, this_run, 1)
        ON CONFLICT ON CONSTRAINT event_cascades_pkey DO UPDATE
        SET publication_count = c.publication_count + 1, run = this_run,
            run_count = CASE WHEN c.run = this_run THEN c.run_count + 1 ELSE 1 END
        RETURNING c.publication_count, c.run_count INTO published;
        IF published.run_count > 100 THEN
            RAISE EXCEPTION 'One run of a handler publishes at most 100 events.'
                USING ERRCODE = 'program_limit_exceeded', CONSTRAINT = 'event_cascades_run_budget';
        END IF;
        IF published.publication_count > 1000 THEN
            RAISE EXCEPTION 'The handlers of one cascade publish at most 1000 events.'
                USING ERRCODE = 'program_limit_exceeded', CONSTRAINT = 'event_cascades_root_budget';
        END IF;
        RETURN NEW;
    END
    $$;
-- +goose StatementEnd

-- Writes down that a run was refused at a limit, in the transaction that notes its failure: the one it published in is
-- rolled back.
-- +goose StatementBegin
CREATE FUNCTION app.note_refusal(p_org_id uuid, p_correlation_id uuid, p_event_id uuid, p_handler_name text, p_reason text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    BEGIN
        INSERT INTO public.event_cascades AS c (org_id, correlation_id, refused_count)
        VALUES (p_org_id, p_correlation_id, 1)
        ON CONFLICT ON CONSTRAINT event_cascades_pkey DO UPDATE SET refused_count = c.refused_count + 1;
        PERFORM app.audit_event(p_org_id, 'event.cascade_refused', p_event_id,
            jsonb_build_object('handler', p_handler_name, 'reason', p_reason, 'correlation_id', p_correlation_id), 'warning');
    END
    $$;
-- +goose StatementEnd

-- Removes up to p_limit counts of the system's organisation whose first event is older than p_age.
-- +goose StatementBegin
CREATE FUNCTION app.expire_cascades(p_age interval, p_limit integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        gone integer;
    BEGIN
        IF NOT app.is_system() THEN
            RAISE EXCEPTION 'expire_cascades: for the system alone' USING ERRCODE = 'insufficient_privilege';
        END IF;
        DELETE FROM public.event_cascades c
        USING (
            SELECT o.org_id, o.correlation_id FROM public.event_cascades o
            WHERE o.org_id = app.org_id() AND o.correlation_id < app.uuid_v7_floor(now() - p_age)
            ORDER BY o.correlation_id LIMIT p_limit FOR UPDATE SKIP LOCKED
        ) old
        WHERE c.org_id = old.org_id AND c.correlation_id = old.correlation_id;
        GET DIAGNOSTICS gone = ROW_COUNT;
        RETURN gone;
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.continue_cascade() TO intime_owner;
GRANT EXECUTE ON FUNCTION app.note_refusal(uuid, uuid, uuid, text, text) TO intime_worker;
GRANT EXECUTE ON FUNCTION app.expire_cascades(interval, integer) TO authenticated;

RESET ROLE;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_bookkeeper, intime_membership;

-- Publishing outside of handlers looks at its own claims, and that is all.
CREATE TRIGGER events_cascade BEFORE INSERT ON events
    FOR EACH ROW WHEN (strpos(current_setting('request.jwt.claims', true), '"run":') > 0)
    EXECUTE FUNCTION app.continue_cascade();

RESET ROLE;

-- +goose Down
DROP TRIGGER events_cascade ON events;
DROP FUNCTION app.expire_cascades(interval, integer), app.note_refusal(uuid, uuid, uuid, text, text), app.continue_cascade();
REVOKE EXECUTE ON FUNCTION app.in_handler() FROM intime_bookkeeper;
DROP TABLE event_cascades;
DELETE FROM app.partitioned_tables WHERE name = 'event_cascades';
