-- An organisation without people, for the probes that check whether the bus works; and the schema's version, which every
-- process asks for when it starts.

-- +goose Up
-- The triggers that keep the books act under policies of their own.
SET LOCAL row_security = on;
INSERT INTO organizations (id, name, slug) VALUES ('00000000-0000-7000-8000-000000000001', 'InTime', 'intime-system');

GRANT SELECT ON goose_db_version TO intime_api, intime_worker;

-- +goose Down
REVOKE SELECT ON goose_db_version FROM intime_api, intime_worker;
DELETE FROM event_subscriptions WHERE org_id = '00000000-0000-7000-8000-000000000001';
ALTER TABLE audit_logs DISABLE TRIGGER audit_logs_append_only;
DELETE FROM audit_logs WHERE org_id = '00000000-0000-7000-8000-000000000001';
ALTER TABLE audit_logs ENABLE TRIGGER audit_logs_append_only;
DELETE FROM organizations WHERE id = '00000000-0000-7000-8000-000000000001';
