-- Jobs.

-- +goose Up
SET LOCAL ROLE intime_owner;

CREATE TABLE jobs (
    id                   uuid        NOT NULL DEFAULT app.uuid_v7(),
    org_id               uuid        NOT NULL,
    client_id            uuid,
    title                text        NOT NULL,
    description          text        NOT NULL,
    required_skills      text[]      NOT NULL,
    experience_years_min integer,
    experience_years_max integer,
    salary_min           bigint,
    salary_max           bigint,
    salary_currency      text,
    location             text        NOT NULL,
    remote_allowed       boolean     NOT NULL DEFAULT false,
    status               text        NOT NULL DEFAULT 'open',
    version              bigint      NOT NULL DEFAULT 1,
    created_by           uuid,
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now(),
    deleted_at           timestamptz,
    required_skill_keys  text[]      GENERATED ALWAYS AS (app.lower_all(required_skills)) STORED,
    search_text          text        GENERATED ALWAYS AS
        (app.search_text(title, location, app.search_text(VARIADIC required_skills))) STORED,
    -- The organisation leads, as in every index: an index of ids alone would be walked through everybody's rows.
    CONSTRAINT jobs_pkey PRIMARY KEY (org_id, id),
    CONSTRAINT jobs_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT jobs_client_id_fkey FOREIGN KEY (org_id, client_id) REFERENCES user_profiles (org_id, id),
    CONSTRAINT jobs_created_by_fkey FOREIGN KEY (org_id, created_by) REFERENCES user_profiles (org_id, id),
    CONSTRAINT jobs_title_check CHECK (length(btrim(title)) BETWEEN 1 AND 200),
    CONSTRAINT jobs_description_check CHECK (length(description) BETWEEN 10 AND 20000),
    CONSTRAINT jobs_required_skills_check CHECK (cardinality(required_skills) BETWEEN 1 AND 50),
    CONSTRAINT jobs_experience_years_min_check CHECK (experience_years_min >= 0),
    CONSTRAINT jobs_experience_years_max_check CHECK (experience_years_max >= coalesce(experience_years_min, 0)),
    CONSTRAINT jobs_salary_min_check CHECK (salary_min > 0),
    CONSTRAINT jobs_salary_max_check CHECK (salary_max >= coalesce(salary_min, 1)),
    CONSTRAINT jobs_salary_currency_check CHECK (salary_currency ~ '^[A-Z]{3}$'
        AND (salary_currency IS NOT NULL OR salary_min IS NULL AND salary_max IS NULL)),
    CONSTRAINT jobs_location_check CHECK (length(btrim(location)) BETWEEN 1 AND 200),
    CONSTRAINT jobs_status_check CHECK (status IN ('open', 'closed', 'filled'))
);

-- Newest first: every page of every list walks one of these, or the primary key, backwards.
CREATE INDEX jobs_list_by_status_idx ON jobs (org_id, status, id) WHERE deleted_at IS NULL;
CREATE INDEX jobs_client_id_idx ON jobs (org_id, client_id, id);
CREATE INDEX jobs_created_by_idx ON jobs (org_id, created_by);

ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE jobs FORCE ROW LEVEL SECURITY;

GRANT SELECT, INSERT, UPDATE ON jobs TO authenticated;

-- A client's own jobs are those he is the client of.
CREATE POLICY jobs_select ON jobs FOR SELECT TO authenticated
    USING (org_id = (SELECT app.org_id())
        AND ((SELECT app.has_permission('job:read')) OR client_id = (SELECT app.own_permission('job:read'))));
CREATE POLICY jobs_insert ON jobs FOR INSERT TO authenticated
    WITH CHECK (org_id = (SELECT app.org_id()) AND created_by IS NOT DISTINCT FROM (SELECT auth.uid())
        AND ((SELECT app.has_permission('job:create')) OR client_id = (SELECT app.own_permission('job:create'))));
CREATE POLICY jobs_update ON jobs FOR UPDATE TO authenticated
    USING (org_id = (SELECT app.org_id()) AND (
        (SELECT app.has_permission('job:update')) OR (SELECT app.has_permission('job:delete'))
        OR client_id = (SELECT app.own_permission('job:update'))))
    WITH CHECK (org_id = (SELECT app.org_id()) AND (
        (SELECT app.has_permission('job:update')) OR (SELECT app.has_permission('job:delete'))
        OR client_id = (SELECT app.own_permission('job:update'))));

CREATE TRIGGER jobs_audit AFTER INSERT OR UPDATE OR DELETE ON jobs
    FOR EACH ROW EXECUTE FUNCTION app.audit_row('job');

RESET ROLE;

-- +goose Down
DROP TABLE jobs;
