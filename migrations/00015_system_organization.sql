-- An organisation without people, for the probes that check whether the bus works; and the schema's version, which every
-- process asks for when it starts.

-- +goose Up
-- The triggers that keep the books act under policies of their own.
SET LOCAL row_security = on;
INSERT INTO organizations (id, name, slug) VALUES ('00000000-0000-7000-8000-000000000001', 'InTime', 'intime-system')
ON CONFLICT (id) DO NOTHING;

GRANT SELECT ON goose_db_version TO intime_api, intime_worker;

-- +goose Down
-- The organisation stays, for its audit log refers to it; going up again finds it.
REVOKE SELECT ON goose_db_version FROM intime_api, intime_worker;
