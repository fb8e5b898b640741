-- Placements, and what is counted of them.

-- +goose Up
SET LOCAL ROLE intime_owner;

CREATE TABLE placements (
    id              uuid        NOT NULL DEFAULT app.uuid_v7(),
    org_id          uuid        NOT NULL,
    candidate_id    uuid        NOT NULL,
    job_id          uuid        NOT NULL,
    placed_by       uuid        NOT NULL,
    previous_status text        NOT NULL,
    placed_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT placements_pkey PRIMARY KEY (org_id, id),
    CONSTRAINT placements_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT placements_candidate_id_fkey FOREIGN KEY (org_id, candidate_id) REFERENCES user_profiles (org_id, id),
    CONSTRAINT placements_job_id_fkey FOREIGN KEY (org_id, job_id) REFERENCES jobs (org_id, id),
    CONSTRAINT placements_placed_by_fkey FOREIGN KEY (org_id, placed_by) REFERENCES user_profiles (org_id, id),
    CONSTRAINT placements_previous_status_check CHECK (previous_status IN ('active', 'bench', 'inactive'))
);

COMMENT ON TABLE placements IS 'Who was placed where, by whom. Written once: a placement happened, whatever comes later.';
COMMENT ON COLUMN placements.previous_status IS 'The candidate''s status until then.';

CREATE INDEX placements_candidate_id_idx ON placements (org_id, candidate_id);
CREATE INDEX placements_job_id_idx ON placements (org_id, job_id);
-- What one person placed in one month is counted with every placement.
CREATE INDEX placements_placed_by_idx ON placements (org_id, placed_by, placed_at);

CREATE TABLE pod_metrics (
    org_id                 uuid        NOT NULL,
    month                  date        NOT NULL,
    recruiter_id           uuid        NOT NULL,
    placements_count       integer     NOT NULL DEFAULT 0,
    bench_placements_count integer     NOT NULL DEFAULT 0,
    last_placed_at         timestamptz,
    updated_at             timestamptz NOT NULL DEFAULT now(),
    -- In the order of the list.
    CONSTRAINT pod_metrics_pkey PRIMARY KEY (org_id, month, recruiter_id),
    CONSTRAINT pod_metrics_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT pod_metrics_recruiter_id_fkey FOREIGN KEY (org_id, recruiter_id) REFERENCES user_profiles (org_id, id),
    CONSTRAINT pod_metrics_month_check CHECK (extract(day FROM month) = 1),
    CONSTRAINT pod_metrics_placements_count_check CHECK (placements_count >= 0),
    CONSTRAINT pod_metrics_bench_placements_count_check CHECK (bench_placements_count BETWEEN 0 AND placements_count)
);

COMMENT ON TABLE pod_metrics IS 'Placements by month (UTC) and by who placed. Derived from placements by app.update_pod_metrics().';

CREATE INDEX pod_metrics_recruiter_id_idx ON pod_metrics (org_id, recruiter_id, month);

ALTER TABLE placements ENABLE ROW LEVEL SECURITY;
ALTER TABLE placements FORCE ROW LEVEL SECURITY;
ALTER TABLE pod_metrics ENABLE ROW LEVEL SECURITY;
ALTER TABLE pod_metrics FORCE ROW LEVEL SECURITY;

GRANT SELECT, INSERT (id, org_id, candidate_id, job_id, placed_by, previous_status) ON placements TO authenticated;
GRANT SELECT ON pod_metrics TO authenticated;
GRANT SELECT ON placements TO intime_bookkeeper;
GRANT SELECT, INSERT, UPDATE (placements_count, bench_placements_count, last_placed_at, updated_at) ON pod_metrics TO intime_bookkeeper;

CREATE POLICY placements_select ON placements FOR SELECT TO authenticated
    USING (org_id = (SELECT app.org_id()) AND (
        (SELECT app.has_permission('candidate:read')) OR candidate_id = (SELECT app.own_permission('candidate:read'))));
CREATE POLICY placements_insert ON placements FOR INSERT TO authenticated
    WITH CHECK (org_id = (SELECT app.org_id()) AND placed_by = (SELECT auth.uid())
        AND (SELECT app.has_permission('candidate:place')));
CREATE POLICY pod_metrics_select ON pod_metrics FOR SELECT TO authenticated
    USING (org_id = (SELECT app.org_id()) AND (SELECT app.has_permission('candidate:read')));

-- The function below runs as this role: it stays in the caller's organisation even so.
CREATE POLICY placements_books_select ON placements FOR SELECT TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()));
CREATE POLICY pod_metrics_books_select ON pod_metrics FOR SELECT TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()));
CREATE POLICY pod_metrics_books_insert ON pod_metrics FOR INSERT TO intime_bookkeeper
    WITH CHECK (org_id = (SELECT app.org_id()));
CREATE POLICY pod_metrics_books_update ON pod_metrics FOR UPDATE TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id())) WITH CHECK (org_id = (SELECT app.org_id()));

CREATE TRIGGER placements_audit AFTER INSERT OR UPDATE OR DELETE ON placements
    FOR EACH ROW EXECUTE FUNCTION app.audit_row('placement');

GRANT CREATE ON SCHEMA app TO intime_bookkeeper;
RESET ROLE;
SET LOCAL ROLE intime_membership;
GRANT EXECUTE ON FUNCTION app.in_handler() TO intime_bookkeeper;
RESET ROLE;
SET LOCAL ROLE intime_bookkeeper;

-- The payload of an event of the caller's organisation, for functions that do more than the caller may: they take an
-- event's id and nothing else, so that they do what was published and nothing else. Refused outside of handlers, and for
-- an event of another type.
-- +goose StatementBegin
CREATE FUNCTION app.handled_payload(p_event_id uuid, p_type text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        payload jsonb;
    BEGIN
        IF app.org_id() IS NULL OR NOT app.in_handler() THEN
            RAISE EXCEPTION 'only an event handler may do this' USING ERRCODE = 'insufficient_privilege';
        END IF;
        SELECT e.payload INTO payload FROM public.events e
        WHERE e.org_id = app.org_id() AND e.id = p_event_id AND e.type = p_type;
        IF payload IS NULL THEN
            RAISE EXCEPTION 'there is no such event of type %', quote_literal(p_type) USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN payload;
    END
    $$;
-- +goose StatementEnd

-- Counts anew what the person of a placement placed in its month. Counting, unlike adding one, may be done twice. The row
-- is locked before it is counted: of two that count at once, the later sees what the earlier saw.
-- +goose StatementBegin
CREATE FUNCTION app.update_pod_metrics(p_event_id uuid) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        payload jsonb := app.handled_payload(p_event_id, 'candidate.placed');
        org     uuid := app.org_id();
        placed  public.placements;
        first   timestamptz;
    BEGIN
        -- Protobuf's JSON knows both names of a field.
        SELECT * INTO placed FROM public.placements p
        WHERE p.org_id = org AND p.id = coalesce(payload ->> 'placementId', payload ->> 'placement_id')::uuid;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        first := date_trunc('month', placed.placed_at, 'UTC');
        INSERT INTO public.pod_metrics (org_id, month, recruiter_id)
        VALUES (org, (first AT TIME ZONE 'UTC')::date, placed.placed_by)
        ON CONFLICT ON CONSTRAINT pod_metrics_pkey DO NOTHING;
        PERFORM FROM public.pod_metrics m
        WHERE m.org_id = org AND m.month = (first AT TIME ZONE 'UTC')::date AND m.recruiter_id = placed.placed_by
        FOR NO KEY UPDATE;
        UPDATE public.pod_metrics m
        SET placements_count = c.placements, bench_placements_count = c.from_bench, last_placed_at = c.last,
            updated_at = clock_timestamp()
        FROM (
            SELECT count(*) AS placements, count(*) FILTER (WHERE p.previous_status = 'bench') AS from_bench,
                   max(p.placed_at) AS last
            FROM public.placements p
            WHERE p.org_id = org AND p.placed_by = placed.placed_by
              AND p.placed_at >= first AND p.placed_at < (first AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'
        ) c
        WHERE m.org_id = org AND m.month = (first AT TIME ZONE 'UTC')::date AND m.recruiter_id = placed.placed_by
          AND (m.placements_count, m.bench_placements_count, m.last_placed_at)
              IS DISTINCT FROM (c.placements::integer, c.from_bench::integer, c.last);
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.update_pod_metrics(uuid) TO authenticated;

RESET ROLE;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_bookkeeper;

RESET ROLE;

-- +goose Down
DROP FUNCTION app.update_pod_metrics(uuid), app.handled_payload(uuid, text);
DROP TABLE pod_metrics, placements;
SET LOCAL ROLE intime_membership;
REVOKE EXECUTE ON FUNCTION app.in_handler() FROM intime_bookkeeper;
RESET ROLE;
