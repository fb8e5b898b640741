-- People: one row per person, whatever his roles.

-- +goose Up
SET LOCAL ROLE intime_owner;

CREATE TABLE user_profiles (
    id                         uuid        NOT NULL DEFAULT app.uuid_v7(),
    org_id                     uuid        NOT NULL,
    email                      text        NOT NULL,
    full_name                  text        NOT NULL,
    avatar_url                 text,
    phone                      text,
    is_active                  boolean     NOT NULL DEFAULT true,
    student_enrollment_date    date,
    student_current_module     text,
    student_course_progress    jsonb,
    student_graduation_date    date,
    employee_hire_date         date,
    employee_department        text,
    employee_position          text,
    candidate_status           text,
    candidate_resume_url       text,
    candidate_skills           text[],
    candidate_experience_years integer,
    client_company_name        text,
    client_industry            text,
    client_tier                text,
    version                    bigint      NOT NULL DEFAULT 1,
    created_at                 timestamptz NOT NULL DEFAULT now(),
    updated_at                 timestamptz NOT NULL DEFAULT now(),
    deleted_at                 timestamptz,
    candidate_skill_keys       text[]      GENERATED ALWAYS AS (app.lower_all(candidate_skills)) STORED,
    CONSTRAINT user_profiles_pkey PRIMARY KEY (id),
    CONSTRAINT user_profiles_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT user_profiles_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT user_profiles_email_check CHECK (email = lower(btrim(email)) AND length(email) BETWEEN 3 AND 254),
    CONSTRAINT user_profiles_full_name_check CHECK (length(btrim(full_name)) BETWEEN 1 AND 255),
    CONSTRAINT user_profiles_avatar_url_check CHECK (length(avatar_url) <= 2048),
    CONSTRAINT user_profiles_phone_check CHECK (phone ~ '^\+?[1-9][0-9]{1,14}$'),
    CONSTRAINT user_profiles_student_course_progress_check CHECK (jsonb_typeof(student_course_progress) = 'object'),
    CONSTRAINT user_profiles_candidate_status_check
        CHECK (candidate_status IN ('active', 'placed', 'bench', 'inactive', 'blacklisted')),
    CONSTRAINT user_profiles_candidate_resume_url_check CHECK (length(candidate_resume_url) <= 2048),
    CONSTRAINT user_profiles_candidate_skills_check CHECK (cardinality(candidate_skills) <= 100),
    CONSTRAINT user_profiles_candidate_experience_years_check CHECK (candidate_experience_years BETWEEN 0 AND 50),
    CONSTRAINT user_profiles_client_company_name_check CHECK (length(btrim(client_company_name)) BETWEEN 1 AND 255),
    CONSTRAINT user_profiles_client_tier_check CHECK (client_tier IN ('preferred', 'strategic', 'exclusive'))
);

COMMENT ON TABLE user_profiles IS 'One row per person. The id is the subject of the person''s token.';

-- An address is taken once per organisation; a deleted profile frees it.
CREATE UNIQUE INDEX user_profiles_org_id_email_key ON user_profiles (org_id, email) WHERE deleted_at IS NULL;
CREATE INDEX user_profiles_candidates_idx ON user_profiles (org_id, id)
    WHERE candidate_status IS NOT NULL AND deleted_at IS NULL;

ALTER TABLE user_profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_profiles FORCE ROW LEVEL SECURITY;

GRANT SELECT ON user_profiles TO authenticated, intime_membership;

RESET ROLE;

-- +goose Down
DROP TABLE user_profiles;
