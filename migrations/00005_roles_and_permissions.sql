-- Roles, permissions, and who holds which role. The first three tables are catalogues, the same for every organisation.

-- +goose Up
SET LOCAL ROLE intime_owner;

CREATE TABLE roles (
    name        text NOT NULL,
    description text NOT NULL,
    CONSTRAINT roles_pkey PRIMARY KEY (name)
);

CREATE TABLE permissions (
    name        text NOT NULL,
    resource    text NOT NULL GENERATED ALWAYS AS (split_part(name, ':', 1)) STORED,
    action      text NOT NULL GENERATED ALWAYS AS (split_part(name, ':', 2)) STORED,
    description text NOT NULL,
    CONSTRAINT permissions_pkey PRIMARY KEY (name),
    CONSTRAINT permissions_name_check CHECK (name ~ '^[a-z_]+:[a-z_]+$')
);

CREATE TABLE role_permissions (
    role_name       text NOT NULL,
    permission_name text NOT NULL,
    scope           text NOT NULL,
    CONSTRAINT role_permissions_pkey PRIMARY KEY (role_name, permission_name),
    CONSTRAINT role_permissions_role_name_fkey FOREIGN KEY (role_name) REFERENCES roles (name),
    CONSTRAINT role_permissions_permission_name_fkey FOREIGN KEY (permission_name) REFERENCES permissions (name),
    CONSTRAINT role_permissions_scope_check CHECK (scope IN ('own', 'all'))
);
CREATE INDEX role_permissions_permission_name_idx ON role_permissions (permission_name);

CREATE TABLE user_roles (
    id         uuid        NOT NULL DEFAULT app.uuid_v7(),
    org_id     uuid        NOT NULL,
    user_id    uuid        NOT NULL,
    role_name  text        NOT NULL,
    granted_by uuid,
    granted_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_by uuid,
    revoked_at timestamptz,
    CONSTRAINT user_roles_pkey PRIMARY KEY (id),
    CONSTRAINT user_roles_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT user_roles_user_id_fkey FOREIGN KEY (org_id, user_id) REFERENCES user_profiles (org_id, id),
    CONSTRAINT user_roles_granted_by_fkey FOREIGN KEY (org_id, granted_by) REFERENCES user_profiles (org_id, id),
    CONSTRAINT user_roles_revoked_by_fkey FOREIGN KEY (org_id, revoked_by) REFERENCES user_profiles (org_id, id),
    CONSTRAINT user_roles_role_name_fkey FOREIGN KEY (role_name) REFERENCES roles (name)
);

COMMENT ON TABLE user_roles IS 'Who holds which role in which organisation. A revoked or expired one never counts.';

CREATE UNIQUE INDEX user_roles_live_key ON user_roles (user_id, role_name) WHERE revoked_at IS NULL;
CREATE INDEX user_roles_user_id_idx ON user_roles (org_id, user_id);
CREATE INDEX user_roles_granted_by_idx ON user_roles (org_id, granted_by);
CREATE INDEX user_roles_revoked_by_idx ON user_roles (org_id, revoked_by);
CREATE INDEX user_roles_role_name_idx ON user_roles (role_name);

ALTER TABLE user_roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_roles FORCE ROW LEVEL SECURITY;

GRANT SELECT ON roles, permissions, role_permissions TO authenticated, intime_membership, intime_worker;
GRANT SELECT ON user_roles TO authenticated, intime_membership;

INSERT INTO roles (name, description) VALUES
    ('super_admin', 'Runs the platform; reads across organisations.'),
    ('admin',       'Runs an organisation.'),
    ('recruiter',   'Finds candidates for jobs.'),
    ('bench_sales', 'Places the people on the bench.'),
    ('trainer',     'Teaches students.'),
    ('hr_manager',  'Looks after the staff.'),
    ('student',     'Learns.'),
    ('employee',    'Works for the organisation.'),
    ('candidate',   'Is looking for a job.'),
    ('client',      'Offers jobs.');

INSERT INTO permissions (name, description) VALUES
    ('user:create', 'Create people'),           ('user:read', 'See people'),
    ('user:update', 'Change people'),           ('user:delete', 'Deactivate people'),
    ('candidate:create', 'Create candidates'),  ('candidate:read', 'See candidates'),
    ('candidate:update', 'Change candidates'),  ('candidate:delete', 'Delete candidates'),
    ('candidate:place', 'Place candidates'),
    ('job:create', 'Create jobs'),              ('job:read', 'See jobs'),
    ('job:update', 'Change jobs'),              ('job:delete', 'Delete jobs'),
    ('student:create', 'Create students'),      ('student:read', 'See students'),
    ('student:update', 'Change students'),      ('student:delete', 'Delete students'),
    ('student:graduate', 'Mark students graduated'),
    ('event:create', 'Publish any event'),      ('event:read', 'See events'),
    ('event:replay', 'Replay events'),          ('event:export', 'Export events'),
    ('handler:read', 'See event handlers'),     ('handler:update', 'Enable and disable event handlers'),
    ('audit:read', 'See the audit log'),        ('audit:export', 'Export the audit log'),
    ('role:read', 'See who holds which role'),  ('role:assign', 'Assign and revoke roles'),
    ('system:admin', 'Administer the organisation');

-- The matrix. Everybody sees and changes himself.
INSERT INTO role_permissions (role_name, permission_name, scope)
SELECT r.name, p.name, 'own' FROM roles r, permissions p
WHERE p.name IN ('user:read', 'user:update') AND r.name NOT IN ('super_admin', 'admin', 'hr_manager')
UNION ALL
SELECT r.name, p.name, 'all' FROM roles r, permissions p WHERE r.name IN ('super_admin', 'admin')
UNION ALL
SELECT g.role_name, g.permission_name, g.scope FROM (VALUES
    ('recruiter', 'candidate:create', 'all'), ('recruiter', 'candidate:read', 'all'),
    ('recruiter', 'candidate:update', 'all'), ('recruiter', 'candidate:delete', 'all'),
    ('recruiter', 'candidate:place', 'all'),
    ('recruiter', 'job:create', 'all'), ('recruiter', 'job:read', 'all'),
    ('recruiter', 'job:update', 'all'), ('recruiter', 'job:delete', 'all'),
    ('recruiter', 'student:read', 'all'),
    ('bench_sales', 'candidate:read', 'all'), ('bench_sales', 'candidate:update', 'all'),
    ('bench_sales', 'candidate:place', 'all'),
    ('bench_sales', 'job:create', 'all'), ('bench_sales', 'job:read', 'all'), ('bench_sales', 'job:update', 'all'),
    ('trainer', 'student:create', 'all'), ('trainer', 'student:read', 'all'), ('trainer', 'student:update', 'all'),
    ('trainer', 'student:delete', 'all'), ('trainer', 'student:graduate', 'all'),
    ('trainer', 'candidate:create', 'all'), ('trainer', 'candidate:read', 'all'), ('trainer', 'candidate:update', 'all'),
    ('hr_manager', 'user:create', 'all'), ('hr_manager', 'user:read', 'all'),
    ('hr_manager', 'user:update', 'all'), ('hr_manager', 'user:delete', 'all'),
    ('hr_manager', 'role:read', 'all'), ('hr_manager', 'job:read', 'all'), ('hr_manager', 'candidate:read', 'all'),
    ('student', 'student:read', 'own'), ('student', 'student:update', 'own'),
    ('employee', 'job:read', 'all'),
    ('candidate', 'candidate:read', 'own'), ('candidate', 'candidate:update', 'own'), ('candidate', 'job:read', 'all'),
    ('client', 'job:read', 'own'), ('client', 'job:create', 'own'), ('client', 'job:update', 'own')
) AS g (role_name, permission_name, scope);

RESET ROLE;

-- +goose Down
DROP TABLE user_roles, role_permissions, permissions, roles;
