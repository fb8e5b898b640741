-- Ids that sort by time, and the claims of the request, which work as Supabase's do.

-- The functions are PL/pgSQL: it keeps its plans, where a SQL function that pins its search_path is planned at every
-- statement.

-- +goose Up
-- +goose StatementBegin
DO $$
BEGIN
    -- Supabase brings these.
    IF to_regprocedure('auth.jwt()') IS NULL THEN
        CREATE FUNCTION auth.jwt() RETURNS jsonb
            LANGUAGE sql STABLE
            AS $f$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb $f$;
        GRANT EXECUTE ON FUNCTION auth.jwt() TO PUBLIC;
    END IF;
    IF to_regprocedure('auth.uid()') IS NULL THEN
        CREATE FUNCTION auth.uid() RETURNS uuid
            LANGUAGE sql STABLE
            AS $f$ SELECT nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '')::uuid $f$;
        GRANT EXECUTE ON FUNCTION auth.uid() TO PUBLIC;
    END IF;
    IF to_regprocedure('auth.role()') IS NULL THEN
        CREATE FUNCTION auth.role() RETURNS text
            LANGUAGE sql STABLE
            AS $f$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role' $f$;
        GRANT EXECUTE ON FUNCTION auth.role() TO PUBLIC;
    END IF;
END
$$;
-- +goose StatementEnd

SET LOCAL ROLE intime_owner;

-- The lowest UUID of version 7 that carries the time: the bound of partitions and time filters. Such ids count whole
-- milliseconds, rounded down, since 1970; nothing is older.
-- +goose StatementBegin
CREATE FUNCTION app.uuid_v7_floor(p_time timestamptz) RETURNS uuid
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = ''
    AS $$
    BEGIN
        RETURN (lpad(to_hex(greatest(floor(extract(epoch FROM p_time) * 1000), 0)::bigint), 12, '0') || '00000000000000000000')::uuid;
    END
    $$;
-- +goose StatementEnd

-- A new UUID of version 7 by the database's clock. Postgres itself has one from version 18 on.
-- +goose StatementBegin
CREATE FUNCTION app.uuid_v7() RETURNS uuid
    LANGUAGE plpgsql VOLATILE PARALLEL SAFE
    SET search_path = ''
    AS $$
    BEGIN
        RETURN encode(
            set_bit(set_bit(
                overlay(uuid_send(gen_random_uuid())
                    PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                    FROM 1 FOR 6),
                52, 1), 53, 1),
            'hex')::uuid;
    END
    $$;
-- +goose StatementEnd

-- Texts in lower case, for comparing skills in any case. Immutable, so that columns can be generated with it.
-- +goose StatementBegin
CREATE FUNCTION app.lower_all(p_texts text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = ''
    AS $$ SELECT array(SELECT lower(btrim(t)) FROM unnest(p_texts) WITH ORDINALITY AS u (t, i) ORDER BY i) $$;
-- +goose StatementEnd

-- What a search looks in.
-- +goose StatementBegin
CREATE FUNCTION app.search_text(VARIADIC p_texts text[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = ''
    AS $$ SELECT lower(array_to_string(p_texts, ' ')) $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.uuid_v7_floor(timestamptz), app.uuid_v7(), app.lower_all(text[]), app.search_text(text[])
    TO authenticated, intime_api, intime_worker, intime_membership, intime_bookkeeper;

RESET ROLE;

-- +goose Down
DROP FUNCTION app.search_text(text[]);
DROP FUNCTION app.lower_all(text[]);
DROP FUNCTION app.uuid_v7();
DROP FUNCTION app.uuid_v7_floor(timestamptz);
-- +goose StatementBegin
DO $$
BEGIN
    -- On Supabase these belong to somebody else, and stay.
    IF EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'auth' AND pg_has_role(current_user, nspowner, 'USAGE'))
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'auth')
    THEN
        DROP FUNCTION IF EXISTS auth.role(), auth.uid(), auth.jwt();
        DROP SCHEMA auth;
    END IF;
END
$$;
-- +goose StatementEnd
