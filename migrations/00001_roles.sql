-- Database roles and schemas. Roles belong to the whole cluster: another database may have made them already.

-- +goose Up
-- +goose StatementBegin
DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES
            -- What requests run as; the names are Supabase's.
            ('anon',              'NOLOGIN NOINHERIT'),
            ('authenticated',     'NOLOGIN NOINHERIT'),
            -- Owns every object. Nobody logs in as it.
            ('intime_owner',      'NOLOGIN NOINHERIT'),
            -- Owns the functions that policies ask about membership; sees the membership tables whole.
            ('intime_membership', 'NOLOGIN NOINHERIT BYPASSRLS'),
            -- Owns the triggers that keep the books: audit rows, outbox, subscriptions.
            ('intime_bookkeeper', 'NOLOGIN NOINHERIT'),
            -- What the API and the workers log in as.
            ('intime_api',        'LOGIN NOINHERIT NOBYPASSRLS'),
            ('intime_worker',     'LOGIN NOINHERIT NOBYPASSRLS')
        ) AS roles (name, attributes)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted.name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I %s', wanted.name, wanted.attributes);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                -- Another database's migration made it in between.
                NULL;
            END;
        END IF;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES ('anon', 'intime_api'), ('authenticated', 'intime_api'), ('authenticated', 'intime_worker'))
            AS memberships (role, member)
    LOOP
        BEGIN
            EXECUTE format('GRANT %I TO %I', wanted.role, wanted.member);
        EXCEPTION WHEN unique_violation THEN
            -- As above.
            NULL;
        END;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- The migrating login acts as the owner; on Postgres 16 and later that has to be granted, a superuser needs nothing.
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT pg_catalog.pg_has_role(current_user, 'intime_owner', 'MEMBER') THEN
        EXECUTE format('GRANT intime_owner, intime_membership, intime_bookkeeper TO %I', current_user);
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('GRANT CREATE, CONNECT ON DATABASE %I TO intime_owner', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO intime_api, intime_worker', current_database());
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END
$$;
-- +goose StatementEnd

CREATE SCHEMA app AUTHORIZATION intime_owner;
CREATE SCHEMA partitions AUTHORIZATION intime_owner;
CREATE SCHEMA river AUTHORIZATION intime_owner;
CREATE SCHEMA IF NOT EXISTS auth;

COMMENT ON SCHEMA app IS 'InTime''s own functions and catalogues.';
COMMENT ON SCHEMA partitions IS 'The partitions of the partitioned tables. Nobody has rights here: rows are reached through the parents.';

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public, app TO intime_owner;
GRANT USAGE ON SCHEMA public, app, auth TO anon, authenticated, intime_api, intime_worker, intime_membership, intime_bookkeeper;
GRANT USAGE ON SCHEMA auth TO intime_owner;
GRANT USAGE ON SCHEMA river TO intime_worker;

ALTER DEFAULT PRIVILEGES FOR ROLE intime_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE intime_membership REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE intime_bookkeeper REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- With set_config one SELECT forges another tenant's claims. Only the logins need it, before they change their role.
-- +goose StatementBegin
DO $$
BEGIN
    REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) TO intime_api, intime_worker;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'set_config stays executable by everybody: this login may not change that';
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
DO $$
BEGIN
    GRANT EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) TO PUBLIC;
EXCEPTION WHEN insufficient_privilege THEN
    NULL;
END
$$;
-- +goose StatementEnd
DROP SCHEMA river, partitions, app;
GRANT USAGE ON SCHEMA public TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE intime_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE intime_membership GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE intime_bookkeeper GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    BEGIN
        REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM intime_api, intime_worker;
    EXCEPTION WHEN insufficient_privilege THEN
        NULL;
    END;
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database());
    FOREACH name IN ARRAY ARRAY['intime_api', 'intime_worker', 'intime_bookkeeper', 'intime_membership', 'intime_owner'] LOOP
        -- Not DROP OWNED: it takes the role's rights to all other databases of the cluster, too.
        EXECUTE format('REVOKE ALL ON DATABASE %I FROM %I', current_database(), name);
        EXECUTE format('REVOKE ALL ON SCHEMA public FROM %I', name);
        IF to_regnamespace('auth') IS NOT NULL THEN
            EXECUTE format('REVOKE ALL ON SCHEMA auth FROM %I', name);
        END IF;
        BEGIN
            EXECUTE format('DROP ROLE %I', name);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            -- Another database of the cluster uses it. Supabase's roles stay in any case.
            NULL;
        END;
    END LOOP;
END
$$;
-- +goose StatementEnd
