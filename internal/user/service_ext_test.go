package user_test

import (
	"slices"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	userv1 "github.com/intime-solutions/intime/gen/go/intime/user/v1"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
)

func TestMain(m *testing.M) { apptest.Main(m) }

func TestUserService_GetMe(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})

	t.Run("EveryPerson", func(t *testing.T) {
		t.Parallel()
		admin := env.Admin(t)
		for _, p := range demo.People() {
			me, err := env.As(t, p.Email).Users.GetMe(t.Context(), &userv1.GetMeRequest{})
			require.NoError(t, err, "%s", p.Email)
			require.Equal(t, p.ID().String(), me.GetUser().GetId())
			require.Equal(t, p.Email, me.GetUser().GetEmail())
			require.Equal(t, p.FullName, me.GetUser().GetFullName())
			require.True(t, me.GetUser().GetIsActive())
			require.Equal(t, p.Organization.ID().String(), me.GetOrganization().GetId())
			require.Equal(t, p.Organization.Name, me.GetOrganization().GetName())
			require.Equal(t, p.Organization.Slug, me.GetOrganization().GetSlug())
			require.Equal(t, []string{p.Role}, me.GetRoles())
			var got []string
			for _, permission := range me.GetPermissions() {
				got = append(got, permission.GetName()+" "+permission.GetScope().String())
			}
			require.Equal(t, apptest.All[string](t, admin, `
				SELECT permission_name || ' SCOPE_' || upper(scope) FROM role_permissions WHERE role_name = $1
				ORDER BY permission_name COLLATE "C"`, p.Role), got, "%s", p.Email)
		}
	})
	t.Run("Nobody", func(t *testing.T) {
		t.Parallel()
		_, err := env.As(t, "").Users.GetMe(t.Context(), &userv1.GetMeRequest{})
		require.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err))
	})
}

func TestUserService_GetMe_AllHisFields(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	apptest.Exec(t, env.Admin(t), `
		UPDATE user_profiles SET full_name = $1, avatar_url = 'https://example.com/a.png', phone = '+351912345678', version = 7
		WHERE email = 'tom@acme.example'`, `Tóm "the" O'Trainer <b> 🚀`)
	me, err := env.As(t, "tom@acme.example").Users.GetMe(t.Context(), &userv1.GetMeRequest{})
	require.NoError(t, err)
	require.Equal(t, `Tóm "the" O'Trainer <b> 🚀`, me.GetUser().GetFullName())
	require.Equal(t, "https://example.com/a.png", me.GetUser().GetAvatarUrl())
	require.Equal(t, "+351912345678", me.GetUser().GetPhone())
	require.Equal(t, int64(7), me.GetUser().GetVersion())
	require.NotNil(t, me.GetUser().GetCreatedAt())
	require.NotNil(t, me.GetUser().GetUpdatedAt())
}

func TestUserService_GetMe_TheWiderScopeOfTwoRoles(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	apptest.Exec(t, env.Admin(t), `
		INSERT INTO user_roles (org_id, user_id, role_name)
		SELECT org_id, id, 'hr_manager' FROM user_profiles WHERE email = 'emma@acme.example'`)
	me, err := env.As(t, "employee").Users.GetMe(t.Context(), &userv1.GetMeRequest{})
	require.NoError(t, err)
	require.Equal(t, []string{"employee", "hr_manager"}, me.GetRoles())
	i := slices.IndexFunc(me.GetPermissions(), func(p *userv1.Permission) bool { return p.GetName() == "user:read" })
	require.GreaterOrEqual(t, i, 0)
	require.Equal(t, userv1.Permission_SCOPE_ALL, me.GetPermissions()[i].GetScope())
}
