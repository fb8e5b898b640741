package app_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
	"github.com/intime-solutions/intime/internal/eventbus"
)

func TestProcedures_DeclareWhoMayCall(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	permissions := apptest.All[string](t, env.Admin(t), `SELECT name FROM permissions`)
	for _, p := range procedures(t) {
		require.True(t, p.declared, "%s declares no authorization", p.path)
		require.NotEqual(t, p.public, p.permission != "", "%s must be public or name a permission", p.path)
		if !p.public {
			require.Contains(t, permissions, p.permission, "%s asks for a permission that nobody can have", p.path)
		}
	}
}

func TestProcedures_NeedAToken(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	for _, p := range procedures(t) {
		for name, token := range map[string]string{"no token": "", "a token of nobody": "not.a.token"} {
			answer := p.call(t, env, token, missing())
			switch {
			case p.public && token == "":
				require.NotEqual(t, "permission_denied", codeOf(t, answer), "%s is public", p.path)
				require.NotContains(t, answer.Body.String(), "UNKNOWN_PROCEDURE", "%s is not mounted", p.path)
			case !p.public:
				require.Equal(t, http.StatusUnauthorized, answer.Code, "%s with %s", p.path, name)
				require.Equal(t, "unauthenticated", codeOf(t, answer), "%s with %s", p.path, name)
			}
		}
	}
}

func TestProcedures_AskForThePermission(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin := env.Admin(t)
	clive, _ := demo.Find("client")
	for _, role := range apptest.All[string](t, admin, `SELECT name FROM roles`) {
		token := env.Token(t, role)
		for _, p := range procedures(t) {
			if p.public {
				continue
			}
			may := apptest.One[bool](t, admin, `
				SELECT EXISTS (SELECT FROM role_permissions WHERE role_name = $1 AND permission_name = $2)`, role, p.permission)
			of := newThings(t, admin, role)
			of.client = clive.ID().String()
			code := codeOf(t, p.call(t, env, token, of))
			if may {
				require.NotContains(t, []string{"permission_denied", "unauthenticated", "internal"}, code, "%s as %s", p.path, role)
			} else {
				require.Equal(t, "permission_denied", code, "%s as %s", p.path, role)
			}
		}
	}
}

// idFields are the fields that name something else by its id.
func (p procedure) idFields() []string {
	var names []string
	for i := range p.input.Fields().Len() {
		field := p.input.Fields().Get(i)
		name := string(field.Name())
		if field.Kind() == protoreflect.StringKind && (name == "id" || strings.HasSuffix(name, "_id") || strings.HasSuffix(name, "ids")) {
			names = append(names, name)
		}
	}
	return names
}

func TestProcedures_OtherOrganisation(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin := env.Admin(t)
	token := env.Token(t, "admin")
	foreign, none := newThings(t, admin, "greta@globex.example"), missing()
	fields := 0
	for _, p := range procedures(t) {
		require.ElementsMatch(t, slices.Collect(maps.Keys(p.request(t, foreign).ids)), p.idFields(),
			"%s: requests() must name every field that holds an id", p.path)
		for _, field := range p.idFields() {
			fields++
			own := newThings(t, admin, "admin")
			call := func(of things) (code, everything string) {
				answer := p.send(t, env, token, p.request(t, own).encode(t, field, p.request(t, of).ids[field]),
					"X-Request-Id", "the-same-both-times")
				answer.Header().Del("Date")
				return codeOf(t, answer), http.StatusText(answer.Code) + answer.Body.String()
			}
			code, theirs := call(foreign)
			_, nobodys := call(none)
			require.Equal(t, nobodys, theirs, "%s tells by %s that something exists", p.path, field)
			if !strings.Contains(p.path, "/List") && !strings.Contains(p.path, "/Export") && field == "id" {
				require.Equal(t, "not_found", code, "%s", p.path)
			}
			// The same call finds what is the caller's own: the comparison above compares something.
			_, ours := call(own)
			require.NotEqual(t, nobodys, ours, "%s does not look at %s", p.path, field)
		}
	}
	require.NotZero(t, fields)
}

func TestProcedures_LeaveAnAuditRow(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin := env.Admin(t)
	ana, _ := demo.Find("admin")
	for _, p := range procedures(t) {
		id := uuid.NewString()
		answer := p.call(t, env, env.Token(t, "admin"), newThings(t, admin, "admin"), "X-Request-Id", id)
		actors := apptest.All[string](t, admin, `SELECT coalesce(actor_id::text, '') FROM audit_logs WHERE request_id = $1`, id)
		switch {
		case p.public:
			// Signing in and out writes nothing to the database.
			require.Empty(t, actors, "%s", p.path)
		case p.reads:
			require.Empty(t, actors, "%s says that it has no side effects", p.path)
		default:
			require.Equal(t, http.StatusOK, answer.Code, "%s: %s", p.path, answer.Body)
			require.NotEmpty(t, actors, "%s", p.path)
			for _, actor := range actors {
				require.Equal(t, ana.ID().String(), actor, "%s", p.path)
			}
		}
	}
}

func TestCatalogue_EveryTypeHasAPermission(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	permissions := apptest.All[string](t, env.Admin(t), `SELECT name FROM permissions`)
	types := env.App.Bus().Types().All()
	require.NotEmpty(t, types)
	for _, eventType := range types {
		require.Contains(t, permissions, eventType.Permission, "%s", eventType.Name)
	}
	names := apptest.All[string](t, env.Admin(t), `SELECT name FROM app.event_types ORDER BY name COLLATE "C"`)
	require.Equal(t, namesOf(types), names, "what the database knows")
}

func TestCatalogue_EveryOrganisationSubscribes(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin := env.Admin(t)
	apptest.Exec(t, admin, `INSERT INTO organizations (name, slug) VALUES ('Umbrella', 'umbrella')`)
	handlers := 0
	for _, eventType := range env.App.Bus().Types().All() {
		for _, handler := range env.App.Bus().HandlersOf(eventType.Name) {
			handlers++
			lacking := apptest.All[string](t, admin, `
				SELECT o.slug FROM organizations o WHERE NOT EXISTS (
					SELECT FROM event_subscriptions s
					WHERE s.org_id = o.id AND s.event_type = $1 AND s.handler_name = $2 AND s.is_active)`, eventType.Name, handler)
			require.Empty(t, lacking, "do not subscribe to %s", handler)
		}
	}
	require.NotZero(t, handlers)
}

func namesOf(types []eventbus.Type) []string {
	var names []string
	for _, eventType := range types {
		names = append(names, eventType.Name)
	}
	return names
}
