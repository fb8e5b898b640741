-- Monthly partitions. Ids are UUIDs of version 7, which begin with the time: ranges of ids are ranges of time, the id
-- alone stays the primary key, and a foreign key needs no second column for the partition.

-- +goose Up
SET LOCAL ROLE intime_owner;

CREATE TABLE app.partitioned_tables (
    name       text    NOT NULL,
    fillfactor integer NOT NULL DEFAULT 100,
    CONSTRAINT partitioned_tables_pkey PRIMARY KEY (name)
);

COMMENT ON TABLE app.partitioned_tables IS 'The tables of schema public that app.make_partitions() makes partitions for.';

-- Gives a new partition what it does not get from its parent: row level security, forced and without a policy, so that
-- whoever addresses it directly sees nothing; and the trigger against TRUNCATE of a table that has one.
-- +goose StatementBegin
CREATE FUNCTION app.guard_partition(p_table text, p_partition text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = ''
    AS $$
    BEGIN
        EXECUTE format('ALTER TABLE partitions.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', p_partition);
        IF EXISTS (SELECT FROM pg_catalog.pg_trigger g
            WHERE g.tgrelid = format('public.%I', p_table)::regclass AND g.tgname = p_table || '_no_truncate') THEN
            EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON partitions.%I FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change()',
                p_table || '_no_truncate', p_partition);
        END IF;
    END
    $$;
-- +goose StatementEnd

-- Makes the partitions of this month and the next ones where they are missing, and answers how many it made.
-- +goose StatementBegin
CREATE FUNCTION app.make_partitions(p_months_ahead integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        parent text;
        fill   integer;
        month  timestamp;
        child  text;
        made   integer := 0;
    BEGIN
        -- Two processes may be at it at once.
        PERFORM pg_catalog.pg_advisory_xact_lock(hashtextextended('intime.make_partitions', 0));
        FOR parent, fill IN SELECT t.name, t.fillfactor FROM app.partitioned_tables t ORDER BY t.name LOOP
            FOR month IN
                SELECT g FROM generate_series(
                    date_trunc('month', now() AT TIME ZONE 'UTC'),
                    date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => coalesce(p_months_ahead, 3)),
                    interval '1 month') AS g
            LOOP
                child := parent || to_char(month, '_YYYY_MM');
                CONTINUE WHEN to_regclass(format('partitions.%I', child)) IS NOT NULL;
                EXECUTE format('CREATE TABLE partitions.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L) WITH (fillfactor = %s)',
                    child, parent, app.uuid_v7_floor(month AT TIME ZONE 'UTC'),
                    app.uuid_v7_floor((month + interval '1 month') AT TIME ZONE 'UTC'), fill);
                PERFORM app.guard_partition(parent, child);
                made := made + 1;
            END LOOP;
        END LOOP;
        RETURN made;
    END
    $$;
-- +goose StatementEnd

-- Declares a table partitioned by month: its default partition, which should stay empty, and the first months. How full
-- pages are filled leaves room for rows that change in place.
-- +goose StatementBegin
CREATE FUNCTION app.partition_by_month(p_table text, p_fillfactor integer DEFAULT 100) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = ''
    AS $$
    BEGIN
        EXECUTE format('CREATE TABLE partitions.%I PARTITION OF public.%I DEFAULT', p_table || '_default', p_table);
        PERFORM app.guard_partition(p_table, p_table || '_default');
        INSERT INTO app.partitioned_tables (name, fillfactor) VALUES (p_table, p_fillfactor);
        PERFORM app.make_partitions(3);
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.make_partitions(integer) TO intime_worker;

RESET ROLE;

-- +goose Down
DROP FUNCTION app.partition_by_month(text, integer), app.make_partitions(integer), app.guard_partition(text, text);
DROP TABLE app.partitioned_tables;
