-- The audit log: append-only, by month.

-- +goose Up
SET LOCAL ROLE intime_owner;

-- Domains and not CHECKs: see events.
CREATE DOMAIN app.actor_kind AS text
    CONSTRAINT audit_logs_actor_kind_check CHECK (VALUE IN ('user', 'system', 'operator'));
CREATE DOMAIN app.severity AS text
    CONSTRAINT audit_logs_severity_check CHECK (VALUE IN ('info', 'warning', 'critical'));

CREATE TABLE audit_logs (
    id             uuid        NOT NULL DEFAULT app.uuid_v7(),
    org_id         uuid        NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor_id       uuid,
    actor_kind     app.actor_kind NOT NULL,
    action         text        NOT NULL,
    table_name     text        NOT NULL,
    record_id      text,
    old_values     jsonb,
    new_values     jsonb,
    changed_fields text[],
    request_id     text,
    ip_address     inet,
    user_agent     text,
    severity       app.severity NOT NULL DEFAULT 'info',
    CONSTRAINT audit_logs_pkey PRIMARY KEY (org_id, id),
    CONSTRAINT audit_logs_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id)
) PARTITION BY RANGE (id);

COMMENT ON COLUMN audit_logs.actor_kind IS 'user: a person; system: InTime itself; operator: somebody with a login to the database.';

-- +goose StatementBegin
CREATE FUNCTION app.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = ''
    AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
    END
    $$;
-- +goose StatementEnd

-- Against owners and superusers too, who need no grant and whom no policy holds back.
CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();

SELECT app.partition_by_month('audit_logs');

CREATE INDEX audit_logs_record_idx ON audit_logs (org_id, table_name, record_id, id);

ALTER TABLE audit_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_logs FORCE ROW LEVEL SECURITY;

GRANT SELECT ON audit_logs TO authenticated;
GRANT INSERT ON audit_logs TO intime_bookkeeper;

CREATE POLICY audit_logs_select ON audit_logs FOR SELECT TO authenticated
    USING (org_id = (SELECT app.org_id()) AND (SELECT app.has_permission('audit:read')));
CREATE POLICY audit_logs_insert ON audit_logs FOR INSERT TO intime_bookkeeper
    WITH CHECK (true);

GRANT CREATE ON SCHEMA app TO intime_bookkeeper;
RESET ROLE;
SET LOCAL ROLE intime_bookkeeper;

-- Who acts, for the audit log. A statement without claims is an operator's at the database's own prompt.
-- +goose StatementBegin
CREATE FUNCTION app.actor_kind() RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = ''
    AS $$
    BEGIN
        RETURN CASE WHEN auth.uid() IS NOT NULL THEN 'user'
                    WHEN app.is_system() OR session_user IN ('intime_worker', 'intime_api') THEN 'system'
                    ELSE 'operator' END;
    END
    $$;
-- +goose StatementEnd

-- Writes a row's change into the audit log. The trigger's argument is what the row is, for example 'job'. A soft delete
-- counts as a delete. Generated columns say nothing new and are left out.
-- +goose StatementBegin
CREATE FUNCTION app.audit_row() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        claims  jsonb := auth.jwt();
        derived text[] := ARRAY['search_text', 'required_skill_keys', 'candidate_skill_keys'];
        before  jsonb;
        after   jsonb;
        changed text[];
        verb    text := CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'UPDATE' THEN 'updated' ELSE 'deleted' END;
    BEGIN
        IF TG_OP <> 'INSERT' THEN before := to_jsonb(OLD) - derived; END IF;
        IF TG_OP <> 'DELETE' THEN after := to_jsonb(NEW) - derived; END IF;
        IF TG_OP = 'UPDATE' THEN
            SELECT array_agg(n.key ORDER BY n.key) INTO changed
            FROM jsonb_each(after) n WHERE n.value IS DISTINCT FROM before -> n.key;
            IF changed IS NULL THEN
                RETURN NULL;
            END IF;
            IF before ->> 'deleted_at' IS NULL AND after ->> 'deleted_at' IS NOT NULL THEN
                verb := 'deleted';
            END IF;
        END IF;
        INSERT INTO public.audit_logs (org_id, actor_id, actor_kind, action, table_name, record_id,
            old_values, new_values, changed_fields, request_id, ip_address, user_agent)
        VALUES (
            CASE TG_TABLE_NAME WHEN 'organizations' THEN (coalesce(after, before) ->> 'id')::uuid
                               ELSE (coalesce(after, before) ->> 'org_id')::uuid END,
            auth.uid(), app.actor_kind(), TG_ARGV[0] || '.' || verb, TG_TABLE_NAME, coalesce(after, before) ->> 'id',
            before, after, changed,
            claims ->> 'request_id', (claims ->> 'ip')::inet, claims ->> 'user_agent');
        RETURN NULL;
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.audit_row() TO intime_owner;
RESET ROLE;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_bookkeeper;

CREATE TRIGGER organizations_audit AFTER INSERT OR UPDATE OR DELETE ON organizations
    FOR EACH ROW EXECUTE FUNCTION app.audit_row('organization');
CREATE TRIGGER user_profiles_audit AFTER INSERT OR UPDATE OR DELETE ON user_profiles
    FOR EACH ROW EXECUTE FUNCTION app.audit_row('user');
CREATE TRIGGER user_roles_audit AFTER INSERT OR UPDATE OR DELETE ON user_roles
    FOR EACH ROW EXECUTE FUNCTION app.audit_row('user_role');

RESET ROLE;

-- +goose Down
DROP TRIGGER user_roles_audit ON user_roles;
DROP TRIGGER user_profiles_audit ON user_profiles;
DROP TRIGGER organizations_audit ON organizations;
DROP FUNCTION app.audit_row(), app.actor_kind();
DROP TABLE audit_logs;
DROP DOMAIN app.severity, app.actor_kind;
DROP FUNCTION app.refuse_change();
DELETE FROM app.partitioned_tables WHERE name = 'audit_logs';
