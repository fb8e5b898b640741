-- A worker that no longer says that it is there has died, and what it was doing is given to others at once.

-- +goose Up
SET LOCAL ROLE intime_owner;

-- Takes the programs off the list that have not been seen for so long, ends their leases and gives their jobs back. Answers
-- who they were. A program that was only slow loses its leases, as if they had run out: it changes nothing any more.
-- +goose StatementBegin
CREATE FUNCTION app.rescue_from_lost(p_unseen interval) RETURNS text[]
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    DECLARE
        lost text[];
        job  record;
        ref  jsonb;
    BEGIN
        WITH gone AS (
            DELETE FROM app.event_workers w
            WHERE w.name IN (
                SELECT v.name FROM app.event_workers v WHERE v.seen_at < clock_timestamp() - p_unseen FOR UPDATE SKIP LOCKED)
            RETURNING w.name
        )
        SELECT array_agg(g.name) INTO lost FROM gone g;
        IF lost IS NULL THEN
            RETURN '{}';
        END IF;
        FOR job IN
            UPDATE river.river_job j
            SET state = 'available', scheduled_at = now(), errors = array_append(j.errors, jsonb_build_object(
                'at', now(), 'attempt', j.attempt, 'error', 'The process that ran this job ended without a word.', 'trace', ''))
            WHERE j.state = 'running' AND j.kind = 'event_delivery' AND j.attempted_by[cardinality(j.attempted_by)] = ANY (lost)
            RETURNING j.queue, j.args
        LOOP
            FOR ref IN SELECT * FROM jsonb_array_elements(job.args -> 'deliveries') LOOP
                UPDATE public.event_deliveries d SET lease_expires_at = clock_timestamp()
                WHERE d.org_id = (ref ->> 'org_id')::uuid AND d.event_id = (ref ->> 'event_id')::uuid
                  AND d.handler_name = job.args ->> 'handler' AND d.status = 'running' AND d.worker = ANY (lost);
            END LOOP;
            PERFORM app.wake_queue(job.queue);
        END LOOP;
        RETURN lost;
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.rescue_from_lost(interval) TO intime_worker;

RESET ROLE;

-- +goose Down
DROP FUNCTION app.rescue_from_lost(interval);
