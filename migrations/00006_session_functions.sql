-- What row level security asks: whose request is this, in which organisation, and what may he do?
-- The functions belong to a role that bypasses row level security, sees the membership tables only, and cannot log in.
-- They are PL/pgSQL because that keeps its plans, where a SQL function that is not inlined plans at every statement.

-- +goose Up
SET LOCAL ROLE intime_owner;
GRANT CREATE ON SCHEMA app TO intime_membership;
RESET ROLE;
SET LOCAL ROLE intime_membership;

-- Whether the request is the system's own, acting for one organisation. Only a worker's login can say so.
-- +goose StatementBegin
CREATE FUNCTION app.is_system() RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = ''
    AS $$
    BEGIN
        RETURN coalesce(auth.jwt() ->> 'actor' = 'system', false)
            AND pg_catalog.pg_has_role(session_user, 'intime_worker', 'MEMBER');
    END
    $$;
-- +goose StatementEnd

-- The organisation of the request; NULL, which matches no row, where the person or his organisation is not active.
-- +goose StatementBegin
CREATE FUNCTION app.org_id() RETURNS uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        claims jsonb := auth.jwt();
        org    uuid;
    BEGIN
        IF claims ->> 'actor' = 'system' THEN
            IF app.is_system() THEN
                SELECT o.id INTO org FROM public.organizations o
                WHERE o.id = (claims ->> 'org_id')::uuid AND o.status = 'active' AND o.deleted_at IS NULL;
            END IF;
            RETURN org;
        END IF;
        SELECT p.org_id INTO org
        FROM public.user_profiles p JOIN public.organizations o ON o.id = p.org_id
        WHERE p.id = nullif(claims ->> 'sub', '')::uuid AND p.is_active AND p.deleted_at IS NULL
          AND o.status = 'active' AND o.deleted_at IS NULL;
        RETURN org;
    END
    $$;
-- +goose StatementEnd

-- How far the permission reaches for the request: 'all', 'own' or NULL.
-- +goose StatementBegin
CREATE FUNCTION app.permission_scope(p_permission text) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        claims jsonb := auth.jwt();
        reach  text;
    BEGIN
        IF claims ->> 'actor' = 'system' AND app.is_system() THEN
            RETURN 'all';
        END IF;
        SELECT min(rp.scope) INTO reach  -- 'all' sorts before 'own'
        FROM public.user_roles ur JOIN public.role_permissions rp ON rp.role_name = ur.role_name
        WHERE ur.user_id = nullif(claims ->> 'sub', '')::uuid AND rp.permission_name = p_permission
          AND ur.revoked_at IS NULL AND (ur.expires_at IS NULL OR ur.expires_at > now());
        RETURN reach;
    END
    $$;
-- +goose StatementEnd

-- Whether the request may do it to everything in its organisation.
-- +goose StatementBegin
CREATE FUNCTION app.has_permission(p_permission text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = ''
    AS $$ BEGIN RETURN coalesce(app.permission_scope(p_permission) = 'all', false); END $$;
-- +goose StatementEnd

-- The person whose own rows the request may do it to; NULL where it may not.
-- +goose StatementBegin
CREATE FUNCTION app.own_permission(p_permission text) RETURNS uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = ''
    AS $$ BEGIN RETURN CASE WHEN app.permission_scope(p_permission) IS NOT NULL THEN auth.uid() END; END $$;
-- +goose StatementEnd

-- What the server asks once for each call: the person, his organisation, roles and permissions. No row: nobody of that
-- id. It tells about anybody, and so only the logins themselves may call it, not what requests run as.
-- +goose StatementBegin
CREATE FUNCTION app.session(p_user_id uuid)
    RETURNS TABLE (org_id uuid, org_active boolean, is_active boolean, role_names text[], permission_names text[], scopes text[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = ''
    AS $$
    BEGIN
        RETURN QUERY
        SELECT p.org_id,
               o.status = 'active' AND o.deleted_at IS NULL,
               p.is_active AND p.deleted_at IS NULL,
               coalesce(r.names, '{}'), coalesce(g.names, '{}'), coalesce(g.scopes, '{}')
        FROM public.user_profiles p
        JOIN public.organizations o ON o.id = p.org_id
        LEFT JOIN LATERAL (
            SELECT array_agg(ur.role_name ORDER BY ur.role_name) AS names
            FROM public.user_roles ur
            WHERE ur.user_id = p.id AND ur.revoked_at IS NULL AND (ur.expires_at IS NULL OR ur.expires_at > now())
        ) r ON true
        LEFT JOIN LATERAL (
            SELECT array_agg(s.permission_name ORDER BY s.permission_name) AS names,
                   array_agg(s.scope ORDER BY s.permission_name) AS scopes
            FROM (
                SELECT rp.permission_name, min(rp.scope) AS scope
                FROM public.role_permissions rp WHERE rp.role_name = ANY (r.names)
                GROUP BY rp.permission_name
            ) s
        ) g ON true
        WHERE p.id = p_user_id;
    END
    $$;
-- +goose StatementEnd

-- Whether the person may act in the organisation, as far as the person is concerned.
-- +goose StatementBegin
CREATE FUNCTION app.is_active_member(p_org_id uuid, p_user_id uuid) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = ''
    AS $$
    BEGIN
        RETURN EXISTS (SELECT FROM public.user_profiles p
            WHERE p.id = p_user_id AND p.org_id = p_org_id AND p.is_active AND p.deleted_at IS NULL);
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.is_active_member(uuid, uuid) TO intime_worker;
GRANT EXECUTE ON FUNCTION app.is_system(), app.org_id(), app.permission_scope(text), app.has_permission(text),
    app.own_permission(text) TO authenticated, intime_bookkeeper;
GRANT EXECUTE ON FUNCTION app.session(uuid) TO intime_api, intime_worker;

RESET ROLE;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_membership;

-- Policies: one per command. A command without one is refused.
CREATE POLICY organizations_select ON organizations FOR SELECT TO authenticated
    USING (id = (SELECT app.org_id()));
CREATE POLICY organizations_books ON organizations FOR SELECT TO intime_bookkeeper, intime_worker
    USING (true);

CREATE POLICY user_profiles_select ON user_profiles FOR SELECT TO authenticated
    USING (org_id = (SELECT app.org_id()) AND deleted_at IS NULL AND (
        (SELECT app.has_permission('user:read'))
        OR id = (SELECT app.own_permission('user:read'))
        OR candidate_status IS NOT NULL AND (SELECT app.has_permission('candidate:read'))
        OR student_enrollment_date IS NOT NULL AND (SELECT app.has_permission('student:read'))
        OR client_company_name IS NOT NULL AND (SELECT app.has_permission('job:create'))));

CREATE POLICY user_roles_select ON user_roles FOR SELECT TO authenticated
    USING (org_id = (SELECT app.org_id())
        AND (user_id = (SELECT auth.uid()) OR (SELECT app.has_permission('role:read'))));

RESET ROLE;

-- +goose Down
DROP POLICY user_roles_select ON user_roles;
DROP POLICY user_profiles_select ON user_profiles;
DROP POLICY organizations_books ON organizations;
DROP POLICY organizations_select ON organizations;
DROP FUNCTION app.is_active_member(uuid, uuid), app.session(uuid), app.own_permission(text), app.has_permission(text), app.permission_scope(text),
    app.org_id(), app.is_system();
