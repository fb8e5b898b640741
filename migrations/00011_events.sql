-- Events: what happened. Publishing is one INSERT; a trigger puts the event into the outbox and the audit log.

-- +goose Up
SET LOCAL ROLE intime_owner;

-- Rules for one column are domains: Postgres reads a table's CHECKs anew for every statement, which was a sixth of the cost of
-- an event, and a domain's once per connection.
CREATE DOMAIN app.event_type_name AS text
    CONSTRAINT events_type_check CHECK (VALUE ~ '^[a-z][a-z_]*\.[a-z][a-z_]*$' AND length(VALUE) <= 100);
-- 64 KiB as compact JSON; jsonb's own text has a blank behind each colon and comma.
CREATE DOMAIN app.event_payload AS jsonb
    CONSTRAINT events_payload_check CHECK (jsonb_typeof(VALUE) = 'object' AND octet_length(VALUE::text) <= 98304);
CREATE DOMAIN app.event_metadata AS jsonb
    CONSTRAINT events_metadata_check CHECK (jsonb_typeof(VALUE) = 'object' AND octet_length(VALUE::text) <= 8192);
CREATE DOMAIN app.event_status AS text
    CONSTRAINT events_status_check CHECK (VALUE IN ('pending', 'processed', 'failed', 'dead_letter'));
CREATE DOMAIN app.event_source AS text
    CONSTRAINT events_source_check CHECK (VALUE IN ('api', 'handler', 'sql', 'cli', 'system'));

CREATE TABLE events (
    id             uuid        NOT NULL DEFAULT app.uuid_v7(),
    org_id         uuid        NOT NULL,
    type           app.event_type_name NOT NULL,
    schema_version integer     NOT NULL DEFAULT 1,
    payload        app.event_payload NOT NULL,
    metadata       app.event_metadata NOT NULL DEFAULT '{}',
    published_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    processed_at   timestamptz,
    status         app.event_status NOT NULL DEFAULT 'pending',
    retry_count    integer     NOT NULL DEFAULT 0,
    error_message  text,
    created_by     uuid,
    source         app.event_source NOT NULL,
    correlation_id uuid        NOT NULL,
    causation_id   uuid,
    depth          integer     NOT NULL DEFAULT 0,
    changed_xid    xid8        NOT NULL DEFAULT pg_current_xact_id(),
    -- The organisation leads, as in every index: an index of ids alone would be walked through everybody's rows.
    CONSTRAINT events_pkey PRIMARY KEY (org_id, id),
    CONSTRAINT events_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT events_created_by_fkey FOREIGN KEY (org_id, created_by) REFERENCES user_profiles (org_id, id),
    CONSTRAINT events_cascade_check CHECK (CASE WHEN causation_id IS NULL THEN depth = 0 ELSE depth BETWEEN 1 AND 3 END)
) PARTITION BY RANGE (id);

COMMENT ON COLUMN events.status IS 'Derived from the deliveries by app.settle_event().';
COMMENT ON COLUMN events.correlation_id IS 'The id of the first event of the cascade; its own id at the first.';

COMMENT ON COLUMN events.changed_xid IS 'The transaction that published the event or last changed its status: who follows changes reads what his last snapshot did not see.';

SELECT app.partition_by_month('events');

-- The primary key serves the list without filters, newest first.
-- A list by several types or states merges one walk for each.
CREATE INDEX events_status_idx ON events (org_id, status, id);
CREATE INDEX events_type_idx ON events (org_id, type, status, id);
CREATE INDEX events_correlation_id_idx ON events (org_id, correlation_id);
CREATE INDEX events_changed_xid_idx ON events (org_id, changed_xid, id);
CREATE INDEX events_created_by_idx ON events (org_id, created_by) WHERE created_by IS NOT NULL;

-- The events that the dispatcher has not seen yet. A row leaves it in the transaction that makes the deliveries.
CREATE TABLE event_outbox (
    org_id      uuid    NOT NULL,
    event_id    uuid    NOT NULL,
    is_requeued boolean NOT NULL DEFAULT false,
    CONSTRAINT event_outbox_pkey PRIMARY KEY (org_id, event_id)
);
-- No foreign keys: a trigger fills it from the event's own row, and it lives for milliseconds.
COMMENT ON COLUMN event_outbox.is_requeued IS 'The event has been dispatched before: deliveries of it were set back to pending.';
-- Rows live for milliseconds: clean up early, or the dispatcher walks over the dead.
ALTER TABLE event_outbox SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

-- Not partitioned, so that a key is unique for as long as it is kept.
CREATE TABLE event_idempotency_keys (
    org_id       uuid        NOT NULL,
    key          text        NOT NULL,
    event_id     uuid        NOT NULL,
    payload_hash bytea       NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT event_idempotency_keys_pkey PRIMARY KEY (org_id, key),
    CONSTRAINT event_idempotency_keys_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT event_idempotency_keys_key_check CHECK (length(key) BETWEEN 1 AND 200)
);

ALTER TABLE events ENABLE ROW LEVEL SECURITY;
ALTER TABLE events FORCE ROW LEVEL SECURITY;
ALTER TABLE event_outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_outbox FORCE ROW LEVEL SECURITY;
ALTER TABLE event_idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_idempotency_keys FORCE ROW LEVEL SECURITY;

GRANT SELECT, INSERT (id, org_id, type, schema_version, payload, metadata, created_by, source, correlation_id, causation_id, depth)
    ON events TO authenticated;
GRANT SELECT, UPDATE (status, processed_at, retry_count, error_message, changed_xid) ON events TO intime_worker;
GRANT INSERT ON event_outbox TO intime_bookkeeper;
GRANT SELECT, DELETE, UPDATE ON event_outbox TO intime_worker;
GRANT SELECT, INSERT ON event_idempotency_keys TO authenticated;

CREATE POLICY events_select ON events FOR SELECT TO authenticated
    USING (org_id = (SELECT app.org_id()) AND (SELECT app.has_permission('event:read')));
-- The id carries the time and with it the partition: an id from another time would be lost in the default partition. Ten
-- minutes are app.uuid_v7_floor() written out, for a call of it is a tenth of what publishing costs.
CREATE POLICY events_insert ON events FOR INSERT TO authenticated
    WITH CHECK (org_id = (SELECT app.org_id())
        AND created_by IS NOT DISTINCT FROM (SELECT auth.uid())
        AND type = ANY ((SELECT app.publishable_types())::text[])
        AND id >= (SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - 600000), 12, '0') || repeat('0', 20))::uuid)
        AND id < (SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + 600000), 12, '0') || repeat('0', 20))::uuid));
CREATE POLICY events_bus_select ON events FOR SELECT TO intime_worker USING (true);
CREATE POLICY events_bus_update ON events FOR UPDATE TO intime_worker USING (true) WITH CHECK (true);

CREATE POLICY event_outbox_insert ON event_outbox FOR INSERT TO intime_bookkeeper WITH CHECK (true);
CREATE POLICY event_outbox_select ON event_outbox FOR SELECT TO intime_worker USING (true);
CREATE POLICY event_outbox_update ON event_outbox FOR UPDATE TO intime_worker USING (true) WITH CHECK (true);
CREATE POLICY event_outbox_delete ON event_outbox FOR DELETE TO intime_worker USING (true);

-- Who may publish nothing has no use for keys, and takes none away from others.
CREATE POLICY event_idempotency_keys_select ON event_idempotency_keys FOR SELECT TO authenticated
    USING (org_id = (SELECT app.org_id()) AND (SELECT cardinality(app.publishable_types())) > 0);
CREATE POLICY event_idempotency_keys_insert ON event_idempotency_keys FOR INSERT TO authenticated
    WITH CHECK (org_id = (SELECT app.org_id()) AND (SELECT cardinality(app.publishable_types())) > 0);

GRANT CREATE ON SCHEMA app TO intime_bookkeeper;
RESET ROLE;
SET LOCAL ROLE intime_bookkeeper;

-- One statement for however many events were published: a bulk publish pays for it once.
-- +goose StatementBegin
CREATE FUNCTION app.record_publication() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        claims jsonb := auth.jwt();
    BEGIN
        INSERT INTO public.event_outbox (org_id, event_id)
        SELECT p.org_id, p.id FROM published p;
        INSERT INTO public.audit_logs (org_id, actor_id, actor_kind, action, table_name, record_id,
            new_values, request_id, ip_address, user_agent)
        SELECT p.org_id, p.created_by, CASE WHEN p.created_by IS NULL THEN app.actor_kind() ELSE 'user' END, 'event.published', 'events', p.id::text,
            jsonb_build_object('type', p.type), claims ->> 'request_id', (claims ->> 'ip')::inet, claims ->> 'user_agent'
        FROM published p;
        RETURN NULL;
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.record_publication() TO intime_owner;
RESET ROLE;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_bookkeeper;

CREATE TRIGGER events_publication AFTER INSERT ON events
    REFERENCING NEW TABLE AS published
    FOR EACH STATEMENT EXECUTE FUNCTION app.record_publication();

-- What tells two publications under one key apart: the type and the payload, whatever the order of its fields.
-- +goose StatementBegin
CREATE FUNCTION app.event_digest(p_type text, p_payload jsonb) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = ''
    AS $$ BEGIN RETURN sha256(convert_to(p_type || ' ' || p_payload::text, 'UTF8')); END $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.event_digest(text, jsonb) TO authenticated;

-- Publishes an event in the caller's transaction and under his row level security, for triggers and the database's
-- prompt. The payload is checked against the type's message by the handlers' process, which refuses it for good. With a
-- key, publishing the same again answers with the first event's id. Wakes the dispatcher when the transaction commits.
-- +goose StatementBegin
CREATE FUNCTION public.publish_event(p_type text, p_payload jsonb, p_idempotency_key text DEFAULT NULL) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = ''
    AS $$
    DECLARE
        event_id uuid := app.uuid_v7();
        org      uuid := app.org_id();
        digest   bytea := app.event_digest(p_type, coalesce(p_payload, '{}'));
        first    record;
        schema   integer;
    BEGIN
        IF org IS NULL THEN
            RAISE EXCEPTION 'publish_event: no active organisation: set request.jwt.claims and the role first'
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        SELECT t.schema_version INTO schema FROM app.event_types t WHERE t.name = p_type;
        IF schema IS NULL THEN
            RAISE EXCEPTION 'publish_event: unknown event type %', coalesce(quote_literal(p_type), 'NULL')
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        IF nullif(p_idempotency_key, '') IS NOT NULL THEN
            INSERT INTO public.event_idempotency_keys (org_id, key, event_id, payload_hash)
            VALUES (org, p_idempotency_key, event_id, digest)
            ON CONFLICT ON CONSTRAINT event_idempotency_keys_pkey DO NOTHING;
            IF NOT FOUND THEN
                SELECT k.event_id, k.payload_hash INTO first FROM public.event_idempotency_keys k
                WHERE k.org_id = org AND k.key = p_idempotency_key;
                IF first.payload_hash IS DISTINCT FROM digest THEN
                    RAISE EXCEPTION 'publish_event: the key % was used for another event', quote_literal(p_idempotency_key)
                        USING ERRCODE = 'unique_violation', CONSTRAINT = 'event_idempotency_keys_pkey';
                END IF;
                RETURN first.event_id;
            END IF;
        END IF;
        INSERT INTO public.events (id, org_id, type, schema_version, payload, created_by, source, correlation_id)
        VALUES (event_id, org, p_type, schema, coalesce(p_payload, '{}'), auth.uid(), 'sql', event_id);
        PERFORM pg_catalog.pg_notify('intime_events', event_id::text);
        RETURN event_id;
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION public.publish_event(text, jsonb, text) TO authenticated;

RESET ROLE;

-- +goose Down
DROP FUNCTION public.publish_event(text, jsonb, text), app.event_digest(text, jsonb);
DROP TABLE event_idempotency_keys, event_outbox, events;
DROP DOMAIN app.event_source, app.event_status, app.event_metadata, app.event_payload, app.event_type_name;
DROP FUNCTION app.record_publication();
DELETE FROM app.partitioned_tables WHERE name = 'events';
