-- People: what graduating and onboarding write down, and what the handlers of these events may do beyond their publishers.

-- +goose Up
SET LOCAL ROLE intime_owner;

ALTER TABLE user_profiles
    ADD COLUMN candidate_ready_for_placement boolean NOT NULL DEFAULT false,
    ADD COLUMN onboarding_completed_at timestamptz;

COMMENT ON COLUMN user_profiles.candidate_ready_for_placement IS 'Graduated with a grade of 80 or more, or said so by the staff.';

INSERT INTO permissions (name, description) VALUES ('user:announce', 'Let it be known that somebody joined');
-- Whoever may create people of some kind.
INSERT INTO role_permissions (role_name, permission_name, scope)
SELECT DISTINCT role_name, 'user:announce', 'all' FROM role_permissions
WHERE permission_name IN ('user:create', 'candidate:create', 'student:create');

GRANT SELECT, UPDATE (candidate_status, candidate_skills, candidate_ready_for_placement, version, updated_at) ON user_profiles
    TO intime_bookkeeper;
GRANT SELECT, INSERT (org_id, user_id, role_name, granted_by), UPDATE (expires_at) ON user_roles TO intime_bookkeeper;

-- The functions below run as this role: they stay in the caller's organisation even so.
CREATE POLICY user_profiles_books_select ON user_profiles FOR SELECT TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()));
CREATE POLICY user_profiles_books_update ON user_profiles FOR UPDATE TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id())) WITH CHECK (org_id = (SELECT app.org_id()));
CREATE POLICY user_roles_books_select ON user_roles FOR SELECT TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()));
CREATE POLICY user_roles_books_insert ON user_roles FOR INSERT TO intime_bookkeeper
    WITH CHECK (org_id = (SELECT app.org_id()) AND role_name = 'candidate');
CREATE POLICY user_roles_books_update ON user_roles FOR UPDATE TO intime_bookkeeper
    USING (org_id = (SELECT app.org_id()) AND role_name = 'candidate')
    WITH CHECK (org_id = (SELECT app.org_id()) AND role_name = 'candidate');

GRANT CREATE ON SCHEMA app TO intime_bookkeeper;
RESET ROLE;
SET LOCAL ROLE intime_bookkeeper;

-- Who is to be told of an event of the caller's organisation, by the roles that the event's type concerns. A student who
-- completes his onboarding may not see the organisation's admins; they hear of it all the same.
-- +goose StatementBegin
CREATE FUNCTION app.event_recipients(p_event_id uuid, p_type text) RETURNS TABLE (user_id uuid, email text, full_name text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        concerned text[] := CASE p_type WHEN 'user.onboarding_completed' THEN ARRAY['admin', 'hr_manager']
                                        WHEN 'course.graduated' THEN ARRAY['recruiter', 'bench_sales'] END;
    BEGIN
        PERFORM app.handled_payload(p_event_id, p_type);
        RETURN QUERY
        SELECT p.id, p.email, p.full_name
        FROM public.user_profiles p
        WHERE p.org_id = app.org_id() AND p.is_active AND p.deleted_at IS NULL AND EXISTS (
            SELECT FROM public.user_roles r
            WHERE r.org_id = p.org_id AND r.user_id = p.id AND r.role_name = ANY (concerned)
              AND r.revoked_at IS NULL AND (r.expires_at IS NULL OR r.expires_at > now()))
        ORDER BY p.id;
    END
    $$;
-- +goose StatementEnd

-- Makes the student of a graduation a candidate. A trainer may graduate students, but neither assign roles nor see what
-- else a candidate is. Who was placed stays placed, and who is blacklisted stays blacklisted: that was decided by somebody.
-- +goose StatementBegin
CREATE FUNCTION app.create_candidate_profile(p_event_id uuid) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        payload  jsonb := app.handled_payload(p_event_id, 'course.graduated');
        org      uuid := app.org_id();
        -- Protobuf's JSON knows both names of a field.
        student  uuid := coalesce(payload ->> 'studentId', payload ->> 'student_id')::uuid;
        is_ready boolean := coalesce((payload ->> 'grade')::integer, 0) >= 80;
        learnt   text[] := ARRAY['Guidewire PolicyCenter', 'Gosu', 'Java'];
        known    text[];
        lacking  text[];
    BEGIN
        SELECT coalesce(p.candidate_skills, '{}') INTO known FROM public.user_profiles p
        WHERE p.org_id = org AND p.id = student AND p.student_enrollment_date IS NOT NULL AND p.deleted_at IS NULL
        FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            -- Deleted meanwhile, or nobody's student.
            RETURN;
        END IF;
        SELECT coalesce(array_agg(l.skill ORDER BY l.i), '{}') INTO lacking
        FROM unnest(learnt) WITH ORDINALITY AS l (skill, i) WHERE lower(l.skill) <> ALL (app.lower_all(known));
        UPDATE public.user_profiles p
        SET candidate_status = n.status, candidate_skills = n.skills, candidate_ready_for_placement = n.ready,
            version = p.version + 1, updated_at = now()
        FROM (
            SELECT o.id,
                   CASE WHEN o.candidate_status IN ('placed', 'blacklisted') THEN o.candidate_status ELSE 'bench' END AS status,
                   -- A profile has at most 100 skills; the course's are the ones that count now.
                   known[1:100 - cardinality(lacking)] || lacking AS skills,
                   o.candidate_ready_for_placement OR is_ready AS ready
            FROM public.user_profiles o WHERE o.org_id = org AND o.id = student
        ) n
        WHERE p.org_id = org AND p.id = n.id
          AND (p.candidate_status, p.candidate_skills, p.candidate_ready_for_placement)
              IS DISTINCT FROM (n.status, n.skills, n.ready);
        INSERT INTO public.user_roles AS r (org_id, user_id, role_name, granted_by)
        VALUES (org, student, 'candidate', auth.uid())
        ON CONFLICT (user_id, role_name) WHERE revoked_at IS NULL
        DO UPDATE SET expires_at = NULL WHERE r.expires_at <= now();
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.event_recipients(uuid, text), app.create_candidate_profile(uuid) TO authenticated;

RESET ROLE;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_bookkeeper;

RESET ROLE;

-- +goose Down
DROP FUNCTION app.create_candidate_profile(uuid), app.event_recipients(uuid, text);
DROP POLICY user_roles_books_update ON user_roles;
DROP POLICY user_roles_books_insert ON user_roles;
DROP POLICY user_roles_books_select ON user_roles;
DROP POLICY user_profiles_books_update ON user_profiles;
DROP POLICY user_profiles_books_select ON user_profiles;
REVOKE ALL ON user_profiles, user_roles FROM intime_bookkeeper;
DELETE FROM role_permissions WHERE permission_name = 'user:announce';
DELETE FROM app.event_types WHERE publish_permission = 'user:announce';
DELETE FROM permissions WHERE name = 'user:announce';
ALTER TABLE user_profiles DROP COLUMN onboarding_completed_at, DROP COLUMN candidate_ready_for_placement;
