-- People: who may write which part of whose profile, what graduating and onboarding write down, and what the handlers of
-- these events may do beyond their publishers.

-- +goose Up
SET LOCAL ROLE intime_owner;

ALTER TABLE user_profiles
    ADD COLUMN candidate_ready_for_placement boolean NOT NULL DEFAULT false,
    ADD COLUMN onboarding_completed_at timestamptz,
    ADD COLUMN search_text text GENERATED ALWAYS AS (app.search_text(
        full_name, email, coalesce(client_company_name, ''), app.search_text(VARIADIC coalesce(candidate_skills, '{}')))) STORED;

COMMENT ON COLUMN user_profiles.candidate_ready_for_placement IS 'Graduated with a grade of 80 or more, or said so by the staff.';

INSERT INTO permissions (name, description) VALUES ('user:announce', 'Let it be known that somebody joined');
-- Whoever may create people of some kind.
INSERT INTO role_permissions (role_name, permission_name, scope)
SELECT DISTINCT role_name, 'user:announce', 'all' FROM role_permissions
WHERE permission_name IN ('user:create', 'candidate:create', 'student:create');

-- By name, whoever they are; students, newest first; candidates by experience.
CREATE INDEX user_profiles_name_idx ON user_profiles (org_id, lower(full_name), id) WHERE deleted_at IS NULL;
CREATE INDEX user_profiles_students_idx ON user_profiles (org_id, id)
    WHERE student_enrollment_date IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX user_profiles_experience_idx ON user_profiles (org_id, coalesce(candidate_experience_years, -1), id)
    WHERE candidate_status IS NOT NULL AND deleted_at IS NULL;

-- Neither the id nor the organisation nor the address of a profile changes.
GRANT INSERT (id, org_id, email, full_name, avatar_url, phone, student_enrollment_date, student_current_module,
        student_course_progress, employee_hire_date, employee_department, employee_position, candidate_status,
        candidate_resume_url, candidate_skills, candidate_experience_years, client_company_name, client_industry, client_tier),
    UPDATE (full_name, avatar_url, phone, is_active, student_enrollment_date, student_current_module, student_course_progress,
        student_graduation_date, candidate_status, candidate_resume_url, candidate_skills, candidate_experience_years,
        candidate_ready_for_placement, onboarding_completed_at, version, updated_at, deleted_at)
    ON user_profiles TO authenticated;
GRANT INSERT (id, org_id, user_id, role_name, granted_by) ON user_roles TO authenticated;

-- Whoever deletes somebody has to be able to see what he leaves behind; the lists leave it out.
ALTER POLICY user_profiles_select ON user_profiles
    USING (org_id = (SELECT app.org_id()) AND (
        deleted_at IS NULL AND (
            (SELECT app.has_permission('user:read'))
            OR id = (SELECT app.own_permission('user:read'))
            OR candidate_status IS NOT NULL AND (SELECT app.has_permission('candidate:read'))
            OR student_enrollment_date IS NOT NULL AND (SELECT app.has_permission('student:read'))
            OR client_company_name IS NOT NULL AND (SELECT app.has_permission('job:create')))
        OR deleted_at IS NOT NULL AND (
            candidate_status IS NOT NULL AND (SELECT app.has_permission('candidate:delete'))
            OR student_enrollment_date IS NOT NULL AND (SELECT app.has_permission('student:delete')))));
-- Who may create one kind of people creates them as that and as nothing else.
CREATE POLICY user_profiles_insert ON user_profiles FOR INSERT TO authenticated
    WITH CHECK (org_id = (SELECT app.org_id()) AND (
        (SELECT app.has_permission('user:create')) AND candidate_status IS NULL AND student_enrollment_date IS NULL
        OR employee_hire_date IS NULL AND client_company_name IS NULL AND (
            candidate_status IS NOT NULL AND student_enrollment_date IS NULL AND (SELECT app.has_permission('candidate:create'))
            OR student_enrollment_date IS NOT NULL AND candidate_status IS NULL AND (SELECT app.has_permission('student:create')))));
-- Whose profile; which part of it, the trigger below decides.
CREATE POLICY user_profiles_update ON user_profiles FOR UPDATE TO authenticated
    USING (org_id = (SELECT app.org_id()) AND deleted_at IS NULL AND (
        (SELECT app.has_permission('user:update')) OR (SELECT app.has_permission('user:delete'))
        OR id = (SELECT app.own_permission('user:update'))
        OR candidate_status IS NOT NULL AND ((SELECT app.has_permission('candidate:update'))
            OR (SELECT app.has_permission('candidate:place')) OR (SELECT app.has_permission('candidate:delete')))
        OR student_enrollment_date IS NOT NULL AND ((SELECT app.has_permission('student:update'))
            OR (SELECT app.has_permission('student:graduate')) OR (SELECT app.has_permission('student:delete')))))
    WITH CHECK (org_id = (SELECT app.org_id()));
-- A profile comes with the role that its kind has. Everything else about roles is for role:assign.
CREATE POLICY user_roles_insert ON user_roles FOR INSERT TO authenticated
    WITH CHECK (org_id = (SELECT app.org_id()) AND granted_by = (SELECT auth.uid()) AND user_id <> (SELECT auth.uid()) AND (
        role_name = 'candidate' AND (SELECT app.has_permission('candidate:create'))
        OR role_name = 'student' AND (SELECT app.has_permission('student:create'))
        OR role_name IN ('employee', 'client') AND (SELECT app.has_permission('user:create'))));

-- A person is one row, whatever his roles; who may change one part of it may not change the others. Holds requests; the
-- functions of other roles have grants for the columns that they are for.
-- +goose StatementBegin
CREATE FUNCTION app.guard_profile() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER
    SET search_path = ''
    AS $$
    DECLARE
        is_candidate boolean := OLD.candidate_status IS NOT NULL;
        is_student   boolean := OLD.student_enrollment_date IS NOT NULL;
        refused      text;
    BEGIN
        IF current_user <> 'authenticated' THEN
            RETURN NEW;
        END IF;
        IF (NEW.full_name, NEW.avatar_url, NEW.phone, NEW.onboarding_completed_at)
                IS DISTINCT FROM (OLD.full_name, OLD.avatar_url, OLD.phone, OLD.onboarding_completed_at)
            AND NOT (app.has_permission('user:update') OR OLD.id IS NOT DISTINCT FROM app.own_permission('user:update')
                OR is_candidate AND app.has_permission('candidate:update')
                OR is_student AND app.has_permission('student:update')) THEN
            refused := 'contact';
        ELSIF NEW.is_active <> OLD.is_active AND NOT app.has_permission('user:delete') THEN
            refused := 'is_active';
        ELSIF NEW.deleted_at IS DISTINCT FROM OLD.deleted_at
            AND NOT (is_candidate AND app.has_permission('candidate:delete')
                OR is_student AND app.has_permission('student:delete')) THEN
            refused := 'deleted_at';
        ELSIF (NEW.candidate_status, NEW.candidate_resume_url, NEW.candidate_skills, NEW.candidate_experience_years)
                IS DISTINCT FROM (OLD.candidate_status, OLD.candidate_resume_url, OLD.candidate_skills, OLD.candidate_experience_years)
            AND NOT (is_candidate AND NEW.candidate_status IS NOT NULL AND (
                app.has_permission('candidate:update') OR app.has_permission('candidate:place')
                OR OLD.id IS NOT DISTINCT FROM app.own_permission('candidate:update'))) THEN
            refused := 'candidate';
        ELSIF (NEW.candidate_ready_for_placement <> OLD.candidate_ready_for_placement
                OR NEW.candidate_status <> OLD.candidate_status AND 'blacklisted' IN (OLD.candidate_status, NEW.candidate_status))
            AND NOT (is_candidate AND app.has_permission('candidate:update')) THEN
            refused := 'candidate_status';
        ELSIF NEW.student_current_module IS DISTINCT FROM OLD.student_current_module
            AND NOT (is_student AND (app.has_permission('student:update')
                OR OLD.id IS NOT DISTINCT FROM app.own_permission('student:update'))) THEN
            refused := 'student_current_module';
        ELSIF (NEW.student_enrollment_date, NEW.student_course_progress)
                IS DISTINCT FROM (OLD.student_enrollment_date, OLD.student_course_progress)
            AND NOT (is_student AND NEW.student_enrollment_date IS NOT NULL AND app.has_permission('student:update')) THEN
            refused := 'student';
        ELSIF NEW.student_graduation_date IS DISTINCT FROM OLD.student_graduation_date
            AND NOT (is_student AND app.has_permission('student:graduate')) THEN
            refused := 'student_graduation_date';
        END IF;
        IF refused IS NOT NULL THEN
            RAISE EXCEPTION 'user_profiles: this part of the profile is not yours to change: %', refused
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END
    $$;
-- +goose StatementEnd

CREATE TRIGGER user_profiles_guard BEFORE UPDATE ON user_profiles
    FOR EACH ROW EXECUTE FUNCTION app.guard_profile();

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

-- What else somebody is, for whoever is about to deactivate or delete him: the roles he holds, and how many active admins
-- the organisation has beside him. Waits for whoever else is asking in the organisation: of two admins who deactivate each
-- other, the second sees the first gone.
-- +goose StatementBegin
CREATE FUNCTION app.role_standing(p_user_id uuid, OUT role_names text[], OUT other_admins integer)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        org uuid := app.org_id();
    BEGIN
        IF org IS NULL OR NOT (app.has_permission('user:delete') OR app.has_permission('candidate:delete')
            OR app.has_permission('student:delete')) THEN
            RAISE EXCEPTION 'role_standing: only for whoever may deactivate or delete people' USING ERRCODE = 'insufficient_privilege';
        END IF;
        PERFORM pg_advisory_xact_lock(hashtextextended('intime role_standing ' || org, 0));
        SELECT coalesce(array_agg(r.role_name ORDER BY r.role_name), '{}') INTO role_names
        FROM public.user_roles r
        WHERE r.org_id = org AND r.user_id = p_user_id
          AND r.revoked_at IS NULL AND (r.expires_at IS NULL OR r.expires_at > now());
        SELECT count(*) INTO other_admins
        FROM public.user_roles r JOIN public.user_profiles p ON p.org_id = r.org_id AND p.id = r.user_id
        WHERE r.org_id = org AND r.user_id <> p_user_id AND r.role_name = 'admin' AND p.is_active AND p.deleted_at IS NULL
          AND r.revoked_at IS NULL AND (r.expires_at IS NULL OR r.expires_at > now());
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.event_recipients(uuid, text), app.create_candidate_profile(uuid), app.role_standing(uuid)
    TO authenticated;

RESET ROLE;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_bookkeeper;

RESET ROLE;

-- +goose Down
DROP TRIGGER user_profiles_guard ON user_profiles;
DROP FUNCTION app.role_standing(uuid), app.create_candidate_profile(uuid), app.event_recipients(uuid, text), app.guard_profile();
DROP POLICY user_roles_insert ON user_roles;
DROP POLICY user_profiles_update ON user_profiles;
DROP POLICY user_profiles_insert ON user_profiles;
ALTER POLICY user_profiles_select ON user_profiles
    USING (org_id = (SELECT app.org_id()) AND deleted_at IS NULL AND (
        (SELECT app.has_permission('user:read'))
        OR id = (SELECT app.own_permission('user:read'))
        OR candidate_status IS NOT NULL AND (SELECT app.has_permission('candidate:read'))
        OR student_enrollment_date IS NOT NULL AND (SELECT app.has_permission('student:read'))
        OR client_company_name IS NOT NULL AND (SELECT app.has_permission('job:create'))));
REVOKE INSERT (id, org_id, email, full_name, avatar_url, phone, student_enrollment_date, student_current_module,
        student_course_progress, employee_hire_date, employee_department, employee_position, candidate_status,
        candidate_resume_url, candidate_skills, candidate_experience_years, client_company_name, client_industry, client_tier),
    UPDATE (full_name, avatar_url, phone, is_active, student_enrollment_date, student_current_module, student_course_progress,
        student_graduation_date, candidate_status, candidate_resume_url, candidate_skills, candidate_experience_years,
        version, updated_at, deleted_at) ON user_profiles FROM authenticated;
REVOKE INSERT (id, org_id, user_id, role_name, granted_by) ON user_roles FROM authenticated;
DROP INDEX user_profiles_experience_idx, user_profiles_students_idx, user_profiles_name_idx;
DROP POLICY user_roles_books_update ON user_roles;
DROP POLICY user_roles_books_insert ON user_roles;
DROP POLICY user_roles_books_select ON user_roles;
DROP POLICY user_profiles_books_update ON user_profiles;
DROP POLICY user_profiles_books_select ON user_profiles;
REVOKE ALL ON user_profiles, user_roles FROM intime_bookkeeper;
DELETE FROM role_permissions WHERE permission_name = 'user:announce';
DELETE FROM app.event_types WHERE publish_permission = 'user:announce';
DELETE FROM permissions WHERE name = 'user:announce';
ALTER TABLE user_profiles DROP COLUMN search_text, DROP COLUMN onboarding_completed_at,
    DROP COLUMN candidate_ready_for_placement;
