-- Organisations: the tenants.

-- +goose Up
SET LOCAL ROLE intime_owner;

CREATE TABLE organizations (
    id         uuid        NOT NULL DEFAULT app.uuid_v7(),
    name       text        NOT NULL,
    slug       text        NOT NULL,
    status     text        NOT NULL DEFAULT 'active',
    settings   jsonb       NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CONSTRAINT organizations_pkey PRIMARY KEY (id),
    CONSTRAINT organizations_slug_key UNIQUE (slug),
    CONSTRAINT organizations_name_check CHECK (length(btrim(name)) BETWEEN 1 AND 200),
    CONSTRAINT organizations_slug_check CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    CONSTRAINT organizations_status_check CHECK (status IN ('active', 'suspended', 'deleted')),
    CONSTRAINT organizations_settings_check CHECK (jsonb_typeof(settings) = 'object')
);

COMMENT ON TABLE organizations IS 'The tenants. Never deleted by cascade: a deleted one keeps its row.';

ALTER TABLE organizations ENABLE ROW LEVEL SECURITY;
ALTER TABLE organizations FORCE ROW LEVEL SECURITY;

GRANT SELECT ON organizations TO authenticated, intime_membership, intime_bookkeeper, intime_worker;

RESET ROLE;

-- +goose Down
DROP TABLE organizations;
