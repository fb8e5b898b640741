-- What may be published, who handles it, and which organisation wants that: catalogues filled from the program, and one
-- subscription per organisation and handler.

-- +goose Up
SET LOCAL ROLE intime_owner;

CREATE TABLE app.event_types (
    name               text        NOT NULL,
    schema_version     integer     NOT NULL,
    message_name       text        NOT NULL,
    publish_permission text,
    CONSTRAINT event_types_pkey PRIMARY KEY (name),
    CONSTRAINT event_types_name_check CHECK (name ~ '^[a-z][a-z_]*\.[a-z][a-z_]*$' AND length(name) <= 100),
    CONSTRAINT event_types_publish_permission_fkey FOREIGN KEY (publish_permission) REFERENCES permissions (name)
);
CREATE INDEX event_types_publish_permission_idx ON app.event_types (publish_permission);

CREATE TABLE app.event_handlers (
    name          text        NOT NULL,
    event_type    text        NOT NULL,
    function_name text        NOT NULL,
    max_attempts  integer     NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT event_handlers_pkey PRIMARY KEY (name),
    CONSTRAINT event_handlers_event_type_fkey FOREIGN KEY (event_type) REFERENCES app.event_types (name),
    CONSTRAINT event_handlers_name_check CHECK (name ~ '^[a-z][a-z0-9_]{0,99}$'),
    CONSTRAINT event_handlers_max_attempts_check CHECK (max_attempts BETWEEN 1 AND 100)
);
CREATE INDEX event_handlers_event_type_idx ON app.event_handlers (event_type);

CREATE TABLE event_subscriptions (
    id                   uuid        NOT NULL DEFAULT app.uuid_v7(),
    org_id               uuid        NOT NULL,
    event_type           text        NOT NULL,
    handler_name         text        NOT NULL,
    handler_function     text        NOT NULL,
    is_active            boolean     NOT NULL DEFAULT true,
    created_at           timestamptz NOT NULL DEFAULT now(),
    failure_count        bigint      NOT NULL DEFAULT 0,
    failing_events       uuid[]      NOT NULL DEFAULT '{}',
    consecutive_failures integer     NOT NULL GENERATED ALWAYS AS (cardinality(failing_events)) STORED,
    last_failure_at      timestamptz,
    last_failure_message text,
    last_success_at      timestamptz,
    disabled_at          timestamptz,
    auto_disabled_at     timestamptz,
    disabled_by          uuid,
    disabled_reason      text,
    CONSTRAINT event_subscriptions_pkey PRIMARY KEY (id),
    CONSTRAINT event_subscriptions_handler_key UNIQUE (org_id, event_type, handler_name),
    CONSTRAINT event_subscriptions_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT event_subscriptions_disabled_by_fkey FOREIGN KEY (org_id, disabled_by) REFERENCES user_profiles (org_id, id),
    CONSTRAINT event_subscriptions_disabled_at_check CHECK (NOT is_active OR disabled_at IS NULL),
    CONSTRAINT event_subscriptions_disabled_reason_check CHECK (length(disabled_reason) BETWEEN 1 AND 500)
);
COMMENT ON COLUMN event_subscriptions.failing_events IS 'The different events whose attempts failed since the last success.';
COMMENT ON COLUMN event_subscriptions.last_success_at IS 'Written at most every 10 seconds: all deliveries of a handler share this row.';

CREATE INDEX event_subscriptions_disabled_by_idx ON event_subscriptions (org_id, disabled_by);

ALTER TABLE event_subscriptions ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_subscriptions FORCE ROW LEVEL SECURITY;

GRANT SELECT ON app.event_types, app.event_handlers TO authenticated, intime_membership, intime_bookkeeper, intime_api, intime_worker;
GRANT INSERT, UPDATE, DELETE ON app.event_types, app.event_handlers TO intime_bookkeeper;
GRANT SELECT, UPDATE (is_active, failing_events, disabled_at, auto_disabled_at, disabled_by, disabled_reason) ON event_subscriptions TO authenticated;
GRANT SELECT, UPDATE ON event_subscriptions TO intime_worker;
GRANT SELECT, INSERT, UPDATE ON event_subscriptions TO intime_bookkeeper;

CREATE POLICY event_subscriptions_select ON event_subscriptions FOR SELECT TO authenticated
    USING (org_id = (SELECT app.org_id()) AND (SELECT app.has_permission('handler:read')));
CREATE POLICY event_subscriptions_update ON event_subscriptions FOR UPDATE TO authenticated
    USING (org_id = (SELECT app.org_id()) AND (SELECT app.has_permission('handler:update')))
    WITH CHECK (org_id = (SELECT app.org_id()) AND (SELECT app.has_permission('handler:update'))
        AND (disabled_by IS NULL OR disabled_by = (SELECT auth.uid())));
CREATE POLICY event_subscriptions_bus_select ON event_subscriptions FOR SELECT TO intime_worker, intime_bookkeeper
    USING (true);
CREATE POLICY event_subscriptions_bus_update ON event_subscriptions FOR UPDATE TO intime_worker, intime_bookkeeper
    USING (true) WITH CHECK (true);
CREATE POLICY event_subscriptions_books_insert ON event_subscriptions FOR INSERT TO intime_bookkeeper
    WITH CHECK (true);

-- Not the counters: a row for every failed attempt would drown what operators did.
CREATE TRIGGER event_subscriptions_audit
    AFTER INSERT OR DELETE OR UPDATE OF is_active, disabled_by, disabled_reason ON event_subscriptions
    FOR EACH ROW EXECUTE FUNCTION app.audit_row('handler');

GRANT CREATE ON SCHEMA app TO intime_bookkeeper, intime_membership;
RESET ROLE;
SET LOCAL ROLE intime_bookkeeper;

-- Takes over what the running program knows: types are upserted, handlers too, and every organisation gets the
-- subscriptions it lacks. A handler that an older or newer program knows is left alone.
-- +goose StatementBegin
CREATE FUNCTION app.register_events(p_types jsonb, p_handlers jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    BEGIN
        INSERT INTO app.event_types AS t (name, schema_version, message_name, publish_permission)
        SELECT n.name, n.schema_version, n.message_name, n.publish_permission
        FROM jsonb_to_recordset(p_types) AS n (name text, schema_version integer, message_name text, publish_permission text)
        ORDER BY n.name
        ON CONFLICT (name) DO UPDATE
        SET schema_version = excluded.schema_version, message_name = excluded.message_name,
            publish_permission = excluded.publish_permission
        WHERE t IS DISTINCT FROM excluded;

        INSERT INTO app.event_handlers AS h (name, event_type, function_name, max_attempts)
        SELECT n.name, n.event_type, n.function_name, n.max_attempts
        FROM jsonb_to_recordset(p_handlers) AS n (name text, event_type text, function_name text, max_attempts integer)
        ORDER BY n.name
        ON CONFLICT (name) DO UPDATE
        SET event_type = excluded.event_type, function_name = excluded.function_name, max_attempts = excluded.max_attempts
        WHERE (h.event_type, h.function_name, h.max_attempts)
            IS DISTINCT FROM (excluded.event_type, excluded.function_name, excluded.max_attempts);

        INSERT INTO public.event_subscriptions (org_id, event_type, handler_name, handler_function)
        SELECT o.id, h.event_type, h.name, h.function_name
        FROM public.organizations o CROSS JOIN app.event_handlers h
        ORDER BY o.id, h.name
        ON CONFLICT ON CONSTRAINT event_subscriptions_handler_key DO NOTHING;
    END
    $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION app.subscribe_organization() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = ''
    AS $$
    BEGIN
        INSERT INTO public.event_subscriptions (org_id, event_type, handler_name, handler_function)
        SELECT NEW.id, h.event_type, h.name, h.function_name FROM app.event_handlers h;
        RETURN NULL;
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.register_events(jsonb, jsonb) TO intime_worker, intime_owner;
GRANT EXECUTE ON FUNCTION app.subscribe_organization() TO intime_owner;

RESET ROLE;
SET LOCAL ROLE intime_membership;

-- The event types the request may publish: those whose permission it holds, to whatever extent; all with event:create.
-- +goose StatementBegin
CREATE FUNCTION app.publishable_types() RETURNS text[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        claims jsonb := auth.jwt();
        me     uuid := nullif(claims ->> 'sub', '')::uuid;
        names  text[];
    BEGIN
        IF claims ->> 'actor' = 'system' AND app.is_system() OR EXISTS (
            SELECT FROM public.user_roles ur JOIN public.role_permissions rp ON rp.role_name = ur.role_name
            WHERE ur.user_id = me AND ur.revoked_at IS NULL AND (ur.expires_at IS NULL OR ur.expires_at > now())
              AND rp.permission_name = 'event:create' AND rp.scope = 'all')
        THEN
            SELECT array_agg(t.name) INTO names FROM app.event_types t;
        ELSE
            SELECT array_agg(t.name) INTO names FROM app.event_types t
            WHERE t.publish_permission IN (
                SELECT rp.permission_name
                FROM public.user_roles ur JOIN public.role_permissions rp ON rp.role_name = ur.role_name
                WHERE ur.user_id = me AND ur.revoked_at IS NULL AND (ur.expires_at IS NULL OR ur.expires_at > now()));
        END IF;
        RETURN coalesce(names, '{}');
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.publishable_types() TO authenticated;
RESET ROLE;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_bookkeeper, intime_membership;

CREATE TRIGGER organizations_subscribe AFTER INSERT ON organizations
    FOR EACH ROW EXECUTE FUNCTION app.subscribe_organization();

RESET ROLE;

-- +goose Down
DROP TRIGGER organizations_subscribe ON organizations;
DROP FUNCTION app.publishable_types(), app.subscribe_organization(), app.register_events(jsonb, jsonb);
DROP TABLE event_subscriptions, app.event_handlers, app.event_types;
