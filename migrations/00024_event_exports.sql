-- Exports of events are written into the audit log: what leaves the organisation's database, by whom, and how much.

-- +goose Up
SET LOCAL ROLE intime_owner;
GRANT CREATE ON SCHEMA app TO intime_bookkeeper;
RESET ROLE;
SET LOCAL ROLE intime_bookkeeper;

-- Notes an export in the transaction that reads it, and answers when that was.
-- +goose StatementBegin
CREATE FUNCTION app.record_export(p_export jsonb) RETURNS timestamptz
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        claims jsonb := auth.jwt();
    BEGIN
        IF app.org_id() IS NULL OR NOT app.has_permission('event:export') THEN
            RAISE EXCEPTION 'record_export: the permission event:export is missing' USING ERRCODE = 'insufficient_privilege';
        END IF;
        INSERT INTO public.audit_logs (org_id, actor_id, actor_kind, action, table_name, new_values,
            request_id, ip_address, user_agent)
        VALUES (app.org_id(), auth.uid(), app.actor_kind(), 'event.exported', 'events', coalesce(p_export, '{}'),
            claims ->> 'request_id', (claims ->> 'ip')::inet, claims ->> 'user_agent');
        RETURN now();
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.record_export(jsonb) TO authenticated;

RESET ROLE;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_bookkeeper;

RESET ROLE;

-- +goose Down
DROP FUNCTION app.record_export(jsonb);
