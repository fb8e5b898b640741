package main

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/intime-solutions/intime/internal/platform/principal"
)

// organizations is how many tenants there are. Each has one person, who may do everything in it.
const organizations = 10

// seedPeople writes organisation n and person n under ids that orgID and personID know.
const seedPeople = `
	INSERT INTO public.organizations (id, name, slug)
	SELECT ('00000000-0000-7000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid, 'Organisation ' || n, 'bench-' || n
	FROM generate_series(0, 9) AS n;
	INSERT INTO public.user_profiles (id, org_id, email, full_name, client_company_name)
	SELECT ('00000000-0000-7000-8000-0000000002' || lpad(n::text, 2, '0'))::uuid,
		('00000000-0000-7000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid,
		'person' || n || '@bench.invalid', 'Person ' || n, 'Company ' || n
	FROM generate_series(0, 9) AS n;
	INSERT INTO public.user_roles (org_id, user_id, role_name)
	SELECT org_id, id, 'admin' FROM public.user_profiles WHERE email LIKE '%@bench.invalid'`

// analyzeFilled analyzes the tables that hold something. An empty one must not be: Postgres would take it for empty until
// the next time, and plan so, where one that it knows nothing of is taken for a small one.
const analyzeFilled = `
	DO $$
	DECLARE
		filled regclass;
	BEGIN
		FOR filled IN
			SELECT c.oid FROM pg_class c
			WHERE c.relkind = 'r' AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
				AND pg_relation_size(c.oid) > 0
		LOOP
			EXECUTE 'ANALYZE ' || filled;
		END LOOP;
	END
	$$`

func orgID(n int) uuid.UUID    { return benchID(1, n) }
func personID(n int) uuid.UUID { return benchID(2, n) }

func benchID(kind, n int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("00000000-0000-7000-8000-%010d%02d", kind, n))
}

// person is person n, as the server's session would have him.
func person(n int) principal.Principal {
	return principal.Principal{UserID: personID(n), OrgID: orgID(n), Roles: []string{"admin"}}
}
