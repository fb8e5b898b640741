package principal_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/principal"
)

func TestPrincipal_Can(t *testing.T) {
	t.Parallel()
	p := principal.Principal{
		UserID: uuid.New(), OrgID: uuid.New(), Roles: []string{"candidate", "student"},
		Permissions: map[string]principal.Scope{"job:read": principal.ScopeAll, "user:read": principal.ScopeOwn},
	}
	for permission, want := range map[string][2]bool{
		"job:read": {true, true}, "user:read": {true, false}, "job:create": {false, false}, "": {false, false}, "job": {false, false},
		"JOB:READ": {false, false},
	} {
		require.Equal(t, want, [2]bool{p.Can(permission), p.CanAll(permission)}, permission)
	}
	require.True(t, p.HasRole("student"))
	require.False(t, p.HasRole("admin"))
	require.False(t, p.HasRole(""))
	require.False(t, p.IsSystem())

	// Nobody may do anything, and is not the system of any organisation.
	var nobody principal.Principal
	require.False(t, nobody.Can("job:read"))
	require.False(t, nobody.CanAll("job:read"))
	require.False(t, nobody.HasRole("student"))
	require.Equal(t, uuid.Nil, nobody.OrgID)
}

func TestSystem(t *testing.T) {
	t.Parallel()
	org := uuid.New()
	system := principal.System(org)
	require.True(t, system.IsSystem())
	require.Equal(t, org, system.OrgID)
	require.False(t, system.Can("system:admin"), "what the system may do is the database's to say")
}

func TestFrom(t *testing.T) {
	t.Parallel()
	_, ok := principal.From(t.Context())
	require.False(t, ok)
	one, two := principal.System(uuid.New()), principal.System(uuid.New())
	outer := principal.With(t.Context(), one)
	inner := principal.With(outer, two)
	p, ok := principal.From(inner)
	require.True(t, ok)
	require.Equal(t, two, p)
	p, ok = principal.From(outer)
	require.True(t, ok)
	require.Equal(t, one, p, "a context within changes nothing without")
}

func TestRequestFrom(t *testing.T) {
	t.Parallel()
	require.Equal(t, principal.Request{}, principal.RequestFrom(t.Context()))
	request := principal.Request{ID: "1", IP: "192.0.2.1", UserAgent: "a", Procedure: "/p"}
	ctx := principal.WithRequest(t.Context(), request)
	require.Equal(t, request, principal.RequestFrom(ctx))
	_, ok := principal.From(ctx)
	require.False(t, ok, "a request alone is on nobody's behalf")
}
