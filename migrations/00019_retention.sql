-- Retention: how long events are kept, per organisation and event type, and the functions that remove what is older.
-- Nothing goes that has not been settled.

-- +goose Up
SET LOCAL ROLE intime_owner;

-- The settings of an organisation's events: organizations.settings -> 'events', with
--   notify_operators     whether its admins get mail about disabled handlers and dead letters; true where it is missing
--   retention_days       how long events are kept; 365 where it is missing
--   type_retention_days  the same for single event types
GRANT UPDATE (settings, updated_at) ON organizations TO intime_bookkeeper;
CREATE POLICY organizations_books_update ON organizations FOR UPDATE TO intime_bookkeeper
    USING (id = (SELECT app.org_id())) WITH CHECK (id = (SELECT app.org_id()));

GRANT DELETE ON events, event_deliveries, event_attempts TO intime_bookkeeper;
GRANT SELECT, DELETE ON event_idempotency_keys TO intime_bookkeeper;
CREATE POLICY events_books_delete ON events FOR DELETE TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()));
CREATE POLICY event_deliveries_books_delete ON event_deliveries FOR DELETE TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()));
CREATE POLICY event_attempts_books_delete ON event_attempts FOR DELETE TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()));
CREATE POLICY event_idempotency_keys_books_select ON event_idempotency_keys FOR SELECT TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()));
CREATE POLICY event_idempotency_keys_books_delete ON event_idempotency_keys FOR DELETE TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()));
CREATE INDEX event_idempotency_keys_created_at_idx ON event_idempotency_keys (org_id, created_at);

GRANT CREATE ON SCHEMA app TO intime_bookkeeper;
RESET ROLE;
SET LOCAL ROLE intime_bookkeeper;

-- A number of days from settings, within the bounds: 7 days to 10 years. NULL for what is no number.
-- +goose StatementBegin
CREATE FUNCTION app.bounded_days(p_value jsonb) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = ''
    AS $$
        SELECT CASE WHEN jsonb_typeof(p_value) = 'number'
            THEN least(greatest(floor((p_value #>> '{}')::numeric), 7), 3650)::integer END
    $$;
-- +goose StatementEnd

-- How many days an organisation with these settings keeps events of the type; of any type that has no setting of its own
-- where the type is NULL.
-- +goose StatementBegin
CREATE FUNCTION app.retention_days(p_settings jsonb, p_type text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = ''
    AS $$
        SELECT coalesce(app.bounded_days(p_settings -> 'events' -> 'type_retention_days' -> p_type),
            app.bounded_days(p_settings -> 'events' -> 'retention_days'), 365)
    $$;
-- +goose StatementEnd

-- The longest that anybody keeps anything: older partitions may go as a whole.
-- +goose StatementBegin
CREATE FUNCTION app.longest_retention() RETURNS interval
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = ''
    AS $$
    BEGIN
        RETURN make_interval(days => (
            SELECT coalesce(max(greatest(app.retention_days(o.settings, NULL), t.days)), 365)
            FROM public.organizations o
            LEFT JOIN LATERAL (
                SELECT max(app.bounded_days(s.value)) AS days
                FROM jsonb_each(CASE WHEN jsonb_typeof(o.settings -> 'events' -> 'type_retention_days') = 'object'
                                     THEN o.settings -> 'events' -> 'type_retention_days' ELSE '{}' END) s
            ) t ON true));
    END
    $$;
-- +goose StatementEnd

-- Changes what is given of the settings of the events of the caller's organisation, and answers all of them.
-- +goose StatementBegin
CREATE FUNCTION app.update_event_settings(p_changes jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        org  uuid := app.org_id();
        kept jsonb;
    BEGIN
        IF org IS NULL OR NOT app.has_permission('system:admin') THEN
            RAISE EXCEPTION 'update_event_settings: the permission system:admin is missing' USING ERRCODE = 'insufficient_privilege';
        END IF;
        UPDATE public.organizations o
        SET settings = o.settings || jsonb_build_object('events', coalesce(o.settings -> 'events', '{}') || coalesce(p_changes, '{}')),
            updated_at = now()
        WHERE o.id = org
        RETURNING o.settings -> 'events' INTO kept;
        RETURN kept;
    END
    $$;
-- +goose StatementEnd

-- Removes up to p_limit settled events of the system's organisation that are older than it keeps their type, with their
-- deliveries and attempts, oldest first, and answers how many those were.
-- +goose StatementBegin
CREATE FUNCTION app.expire_events(p_limit integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        org     uuid := app.org_id();
        expired uuid[];
    BEGIN
        IF NOT app.is_system() THEN
            RAISE EXCEPTION 'expire_events: for the system alone' USING ERRCODE = 'insufficient_privilege';
        END IF;
        SELECT array_agg(l.id) INTO expired
        FROM (
            SELECT v.id FROM public.events v
            JOIN (
                SELECT e.id FROM public.organizations o CROSS JOIN app.event_types t
                CROSS JOIN unnest(ARRAY['processed', 'dead_letter']) AS settled (status)
                CROSS JOIN LATERAL (
                    SELECT w.id FROM public.events w
                    WHERE w.org_id = org AND w.type = t.name AND w.status = settled.status
                      AND w.id < app.uuid_v7_floor(now() - make_interval(days => app.retention_days(o.settings, t.name)))
                    ORDER BY w.id LIMIT p_limit
                ) e
                WHERE o.id = org ORDER BY e.id LIMIT p_limit
            ) old ON old.id = v.id
            WHERE v.org_id = org AND v.status IN ('processed', 'dead_letter') AND NOT EXISTS (
                SELECT FROM public.event_deliveries d
                WHERE d.org_id = org AND d.event_id = v.id AND d.status IN ('pending', 'running', 'failed'))
            ORDER BY v.id FOR UPDATE OF v SKIP LOCKED
        ) l;
        IF expired IS NULL THEN
            RETURN 0;
        END IF;
        DELETE FROM public.event_attempts a WHERE a.org_id = org AND a.event_id = ANY (expired);
        DELETE FROM public.event_deliveries d WHERE d.org_id = org AND d.event_id = ANY (expired);
        DELETE FROM public.events e WHERE e.org_id = org AND e.id = ANY (expired);
        RETURN cardinality(expired);
    END
    $$;
-- +goose StatementEnd

-- Removes up to p_limit idempotency keys of the system's organisation that are older than p_age: who publishes again after
-- that publishes a new event.
-- +goose StatementBegin
CREATE FUNCTION app.expire_idempotency_keys(p_age interval, p_limit integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        gone integer;
    BEGIN
        IF NOT app.is_system() THEN
            RAISE EXCEPTION 'expire_idempotency_keys: for the system alone' USING ERRCODE = 'insufficient_privilege';
        END IF;
        DELETE FROM public.event_idempotency_keys k
        USING (
            SELECT o.org_id, o.key FROM public.event_idempotency_keys o
            WHERE o.org_id = app.org_id() AND o.created_at < now() - p_age
            ORDER BY o.created_at LIMIT p_limit
        ) old
        WHERE k.org_id = old.org_id AND k.key = old.key;
        GET DIAGNOSTICS gone = ROW_COUNT;
        RETURN gone;
    END
    $$;
-- +goose StatementEnd

-- Removes up to p_limit previews of the system's organisation that nobody started, and the frozen sets of replays that ended
-- 30 days ago; what is told of a replay stays.
-- +goose StatementBegin
CREATE FUNCTION app.expire_replays(p_limit integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        org   uuid := app.org_id();
        stale uuid[];
    BEGIN
        IF NOT app.is_system() THEN
            RAISE EXCEPTION 'expire_replays: for the system alone' USING ERRCODE = 'insufficient_privilege';
        END IF;
        SELECT array_agg(l.id) INTO stale
        FROM (
            SELECT r.id FROM public.event_replays r
            WHERE r.org_id = org AND (r.status = 'previewed' AND r.expires_at < now() - interval '1 day'
                OR r.finished_at < now() - interval '30 days'
                    AND EXISTS (SELECT FROM public.event_replay_batches b WHERE b.org_id = org AND b.replay_id = r.id))
            ORDER BY r.id LIMIT p_limit FOR UPDATE SKIP LOCKED
        ) l;
        IF stale IS NULL THEN
            RETURN 0;
        END IF;
        DELETE FROM public.event_replay_batches b WHERE b.org_id = org AND b.replay_id = ANY (stale);
        DELETE FROM public.event_replays r WHERE r.org_id = org AND r.id = ANY (stale) AND r.status = 'previewed';
        RETURN cardinality(stale);
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.longest_retention() TO intime_owner, authenticated;
GRANT EXECUTE ON FUNCTION app.update_event_settings(jsonb), app.expire_events(integer),
    app.expire_idempotency_keys(interval, integer), app.expire_replays(integer) TO authenticated;

RESET ROLE;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_bookkeeper;

-- Detaches and drops one month of the events and of what belongs to them. False, and nothing changed, where an event of that
-- month is not settled. Refuses a month that somebody still keeps.
-- +goose StatementBegin
CREATE FUNCTION app.drop_month(p_month date) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = '' SET lock_timeout = '500ms'
    AS $$
    DECLARE
        parent    text;
        child     text;
        unsettled boolean;
    BEGIN
        IF date_trunc('month', p_month) + interval '1 month' > (now() - app.longest_retention()) AT TIME ZONE 'UTC' THEN
            RAISE EXCEPTION 'drop_month: % is still kept', p_month USING ERRCODE = 'invalid_parameter_value';
        END IF;
        BEGIN
            -- Nothing is published into that month any more, and nothing of it set back while this looks. Whoever is in the way
            -- is not waited for: the next run tries again. What the tables refer to is locked as well when they are dropped; so
            -- all are taken before anything is done, in the order in which others take them.
            LOCK TABLE public.user_profiles, public.organizations, public.event_deliveries, public.event_attempts, public.events
                IN ACCESS EXCLUSIVE MODE;
            FOREACH parent IN ARRAY ARRAY['event_deliveries', 'events'] LOOP
                child := parent || to_char(p_month, '_YYYY_MM');
                IF to_regclass(format('partitions.%I', child)) IS NULL THEN
                    RETURN false;
                END IF;
                -- The owner looks at all organisations' rows.
                EXECUTE format('ALTER TABLE partitions.%I NO FORCE ROW LEVEL SECURITY', child);
            END LOOP;
            -- One look each into the index of states, by organisation.
            EXECUTE format($q$
                WITH RECURSIVE orgs (id) AS (
                    (SELECT e.org_id FROM partitions.%1$I e ORDER BY e.org_id LIMIT 1)
                    UNION ALL
                    SELECT (SELECT e.org_id FROM partitions.%1$I e WHERE e.org_id > o.id ORDER BY e.org_id LIMIT 1)
                    FROM orgs o WHERE o.id IS NOT NULL
                )
                SELECT EXISTS (SELECT FROM orgs o JOIN partitions.%1$I e ON e.org_id = o.id AND e.status IN ('pending', 'failed'))
                    OR EXISTS (SELECT FROM orgs o JOIN partitions.%1$I e ON e.org_id = o.id AND e.status = 'dead_letter'
                        JOIN partitions.%2$I d ON d.org_id = e.org_id AND d.event_id = e.id
                        WHERE d.status IN ('pending', 'running', 'failed'))$q$,
                to_char(p_month, '"events_"YYYY_MM'), to_char(p_month, '"event_deliveries_"YYYY_MM')) INTO unsettled;
            IF unsettled THEN
                RAISE EXCEPTION 'drop_month: not settled' USING ERRCODE = 'object_in_use';
            END IF;
            -- What refers to events goes before them.
            FOREACH parent IN ARRAY ARRAY['event_attempts', 'event_deliveries', 'events', 'event_cascades'] LOOP
                child := parent || to_char(p_month, '_YYYY_MM');
                CONTINUE WHEN to_regclass(format('partitions.%I', child)) IS NULL;
                EXECUTE format('ALTER TABLE public.%I DETACH PARTITION partitions.%I', parent, child);
                EXECUTE format('DROP TABLE partitions.%I', child);
            END LOOP;
        EXCEPTION WHEN object_in_use THEN
            RETURN false;
        END;
        RETURN true;
    END
    $$;
-- +goose StatementEnd

-- The months of events that nobody keeps any more, oldest first.
-- +goose StatementBegin
CREATE FUNCTION app.expired_months() RETURNS SETOF date
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = ''
    AS $$
    BEGIN
        RETURN QUERY
        SELECT m.month FROM (
            SELECT to_date(substring(c.relname FROM '_(\d{4}_\d{2})$'), 'YYYY_MM') AS month
            FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'public.events'::regclass AND c.relname ~ '^events_\d{4}_\d{2}$'
        ) m
        WHERE m.month + interval '1 month' <= (now() - app.longest_retention()) AT TIME ZONE 'UTC'
        ORDER BY m.month;
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.drop_month(date), app.expired_months() TO intime_worker;

RESET ROLE;

-- +goose Down
DROP FUNCTION app.expired_months(), app.drop_month(date), app.expire_replays(integer),
    app.expire_idempotency_keys(interval, integer), app.expire_events(integer), app.update_event_settings(jsonb),
    app.longest_retention(), app.retention_days(jsonb, text), app.bounded_days(jsonb);
DROP INDEX event_idempotency_keys_created_at_idx;
DROP POLICY event_idempotency_keys_books_delete ON event_idempotency_keys;
DROP POLICY event_idempotency_keys_books_select ON event_idempotency_keys;
DROP POLICY event_attempts_books_delete ON event_attempts;
DROP POLICY event_deliveries_books_delete ON event_deliveries;
DROP POLICY events_books_delete ON events;
DROP POLICY organizations_books_update ON organizations;
REVOKE SELECT, DELETE ON event_idempotency_keys FROM intime_bookkeeper;
REVOKE DELETE ON events, event_deliveries, event_attempts FROM intime_bookkeeper;
REVOKE UPDATE (settings, updated_at) ON organizations FROM intime_bookkeeper;
