-- Attempts at a delivery: taken for as long as a transaction lasts, or held by a lease that all can see.

-- +goose Up
SET LOCAL ROLE intime_owner;

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

GRANT EXECUTE ON FUNCTION app.skip_disabled(uuid[], uuid[], text), app.take_deliveries(uuid[], uuid[], text),
    app.finish_deliveries(uuid[], uuid[], text, interval[], interval[], text, text, bigint),
    app.fail_taken(uuid, uuid, text, interval, interval, text, text, text, text, interval, text),
    app.start_delivery(uuid, uuid, text, uuid, interval, text, text, timestamptz, text),
    app.hold_delivery(uuid, uuid, text, uuid), public.mark_event_processed(uuid, uuid, text, uuid),
    public.mark_event_failed(uuid, uuid, text, uuid, text, text, interval, text) TO intime_worker;

RESET ROLE;

-- +goose Down
DROP FUNCTION public.mark_event_failed(uuid, uuid, text, uuid, text, text, interval, text),
    public.mark_event_processed(uuid, uuid, text, uuid), app.hold_delivery(uuid, uuid, text, uuid),
    app.start_delivery(uuid, uuid, text, uuid, interval, text, text, timestamptz, text),
    app.fail_taken(uuid, uuid, text, interval, interval, text, text, text, text, interval, text),
    app.finish_deliveries(uuid[], uuid[], text, interval[], interval[], text, text, bigint),
    app.take_deliveries(uuid[], uuid[], text), app.skip_disabled(uuid[], uuid[], text);
