package user_test

import (
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	userv1 "github.com/intime-solutions/intime/gen/go/intime/user/v1"
	"github.com/intime-solutions/intime/internal/apptest"
)

func refused(t *testing.T, err error, code connect.Code, reason string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, connect.CodeOf(err), "%v", err)
	require.Equal(t, reason, apptest.Detail(err).GetReason(), "%v", err)
}

// invalid expects an error that blames exactly this field by this rule.
func invalid(t *testing.T, err error, want string) {
	t.Helper()
	refused(t, err, connect.CodeInvalidArgument, "INVALID_ARGUMENT")
	var all []string
	for _, v := range apptest.Detail(err).GetViolations() {
		all = append(all, fmt.Sprintf("%s: %s", v.GetField(), v.GetRule()))
	}
	require.Equal(t, []string{want}, all)
}

// get is the person as somebody sees him; nil where he does not.
func get(t *testing.T, as apptest.Clients, id string) *userv1.User {
	t.Helper()
	response, err := as.Users.GetUser(t.Context(), &userv1.GetUserRequest{Id: id})
	if connect.CodeOf(err) == connect.CodeNotFound {
		return nil
	}
	require.NoError(t, err)
	return response.GetUser()
}

func TestUserService_CreateUser(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin, hana := env.Admin(t), env.As(t, "hr_manager")
	create := func(as apptest.Clients, r *userv1.CreateUserRequest) (*userv1.User, error) {
		response, err := as.Users.CreateUser(t.Context(), r)
		return response.GetUser(), err
	}
	staff, err := create(hana, &userv1.CreateUserRequest{
		Email: " Nora@ACME.example ", FullName: " Nora New ", Phone: "+351912345678", EmployeeHireDate: "2026-02-28",
		EmployeeDepartment: " Sales ", EmployeePosition: "Lead",
	})
	require.NoError(t, err)
	require.Equal(t, "nora@acme.example Nora New +351912345678 2026-02-28 Sales Lead true 1", fmt.Sprint(staff.GetEmail(), " ",
		staff.GetFullName(), " ",
		staff.GetPhone(), " ", staff.GetEmployeeHireDate(), " ", staff.GetEmployeeDepartment(), " ", staff.GetEmployeePosition(), " ",
		staff.GetIsActive(), " ", staff.GetVersion()))
	require.Equal(t, staff.String(), get(t, hana, staff.GetId()).String())
	require.Nil(t, get(t, env.As(t, "greta@globex.example"), staff.GetId()))
	client, err := create(hana, &userv1.CreateUserRequest{
		Email: "c@hooli.example", FullName: "Cora", ClientCompanyName: " Hooli ", ClientIndustry: "Search",
		ClientTier: new(userv1.ClientTier_CLIENT_TIER_STRATEGIC),
	})
	require.NoError(t, err)
	require.Equal(t, "Hooli Search CLIENT_TIER_STRATEGIC", fmt.Sprint(client.GetClientCompanyName(), " ",
		client.GetClientIndustry(), " ", client.GetClientTier()))
	require.Equal(t, []string{"client", "employee"}, apptest.All[string](t, admin,
		`SELECT role_name FROM user_roles WHERE granted_by = $1 ORDER BY 1`, idOf(t, "hr_manager")))
	for _, event := range apptest.All[string](t, admin, `SELECT id::text FROM events WHERE type = 'user.created'`) {
		apptest.Handled(t, admin, event)
	}
	require.Equal(t, []string{"c@hooli.example: Welcome to Acme Staffing", "nora@acme.example: Welcome to Acme Staffing"},
		mailsTo(t, admin))

	_, err = create(hana, &userv1.CreateUserRequest{Email: "nora@acme.example", FullName: "N", EmployeeHireDate: "2026-01-01"})
	refused(t, err, connect.CodeAlreadyExists, "USER_EMAIL_TAKEN")
	require.Equal(t, 2, apptest.One[int](t, admin, `SELECT count(*) FROM events WHERE type = 'user.created'`), "both or neither")
	for _, role := range []string{"recruiter", "trainer", "employee"} {
		_, err = create(env.As(t, role), &userv1.CreateUserRequest{
			Email: "x@acme.example", FullName: "X",
			EmployeeHireDate: "2026-01-01",
		})
		refused(t, err, connect.CodePermissionDenied, "PERMISSION_DENIED")
	}
	const email, name, day = "x@acme.example", "X", "2026-01-01"
	for want, r := range map[string]*userv1.CreateUserRequest{
		"email: user.email":         {Email: "x@", FullName: name, EmployeeHireDate: day},
		"full_name: user.full_name": {Email: email, FullName: "\u2003", EmployeeHireDate: day},
		"phone: user.phone":         {Email: email, FullName: name, EmployeeHireDate: day, Phone: "+0"},
		"employee_hire_date: date":  {Email: email, FullName: name, EmployeeHireDate: "2026-02-30"},
		"employee_department: user.employee_department": {
			Email: email, FullName: name, EmployeeHireDate: day,
			EmployeeDepartment: strings.Repeat("x", 201),
		},
		"client_company_name: client_company_name.one_kind": {Email: email, FullName: name},
		"client_industry: user.client_industry.client":      {Email: email, FullName: name, EmployeeHireDate: day, ClientIndustry: "x"},
		"client_tier: user.client_tier.client": {
			Email: email, FullName: name, EmployeeHireDate: day,
			ClientTier: new(userv1.ClientTier(1)),
		},
		"employee_position: user.employee_position.staff": {
			Email: email, FullName: name, ClientCompanyName: "Hooli",
			EmployeePosition: "x",
		},
		"employee_department: user.employee_department.staff": {
			Email: email, FullName: name, ClientCompanyName: "Hooli",
			EmployeeDepartment: "x",
		},
		"client_company_name: user.client_company_name": {Email: email, FullName: name, ClientCompanyName: strings.Repeat("x",
			256)},
	} {
		_, err = create(hana, r)
		invalid(t, err, want)
	}
	for _, r := range []*userv1.CreateUserRequest{
		{Email: email, FullName: name, EmployeeHireDate: day, ClientCompanyName: "Hooli"},
		{Email: email, FullName: name, ClientCompanyName: "\u2003"},
	} {
		_, err = create(hana, r)
		invalid(t, err, "client_company_name: client_company_name.one_kind")
	}
}

func TestUserService_UpdateProfile(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	emma, hana := env.As(t, "employee"), env.As(t, "hr_manager")
	update := func(as apptest.Clients, r *userv1.UpdateProfileRequest) (*userv1.User, error) {
		response, err := as.Users.UpdateProfile(t.Context(), r)
		return response.GetUser(), err
	}
	id := idOf(t, "employee")
	updated, err := update(emma, &userv1.UpdateProfileRequest{
		Version: 1, FullName: new(" Emma E. "), AvatarUrl: new("https://example.com/e.png"), Phone: new("+4912"),
	})
	require.NoError(t, err)
	require.Equal(t, "Emma E. https://example.com/e.png +4912 2 emma@acme.example", fmt.Sprint(updated.GetFullName(), " ",
		updated.GetAvatarUrl(), " ",
		updated.GetPhone(), " ", updated.GetVersion(), " ", updated.GetEmail()))
	cleared, err := update(hana, &userv1.UpdateProfileRequest{Id: id, Version: 2, Clear: []userv1.UpdateProfileRequest_Clearable{1, 2}})
	require.NoError(t, err)
	require.Equal(t, "Emma E.", cleared.GetFullName())
	require.Empty(t, cleared.GetAvatarUrl()+cleared.GetPhone())

	_, err = update(emma, &userv1.UpdateProfileRequest{Version: 2, FullName: new("x")})
	refused(t, err, connect.CodeAborted, "USER_VERSION_STALE")
	// Who may change himself finds nobody else, not even whom he may see.
	for person, whom := range map[string]string{
		"employee": "trainer", "recruiter": "candidate", "trainer": "student", "hr_manager": "greta@globex.example",
		"admin": "gus@globex.example",
	} {
		_, err = update(env.As(t, person), &userv1.UpdateProfileRequest{Id: idOf(t, whom), Version: 1, FullName: new("x")})
		refused(t, err, connect.CodeNotFound, "USER_NOT_FOUND")
	}
	for want, r := range map[string]*userv1.UpdateProfileRequest{
		"id: user.id":                 {Id: "x", Version: 3},
		"version: user.version":       {},
		"full_name: user.full_name":   {Version: 3, FullName: new("\u2003")},
		"avatar_url: user.avatar_url": {Version: 3, AvatarUrl: new("ftp://example.com/x")},
		"phone: user.clear_conflict":  {Version: 3, Phone: new("+4912"), Clear: []userv1.UpdateProfileRequest_Clearable{2}},
	} {
		_, err = update(emma, r)
		invalid(t, err, want)
	}
	// There is no field for the address, the organisation or the role.
	for _, field := range []string{"email", "orgId", "role", "isActive"} {
		answer := env.Call(t, env.Token(t, "employee"), "/intime.user.v1.UserService/UpdateProfile", `{"version":"3","`+field+`":"x"}`)
		require.Equal(t, 400, answer.Code, field)
		require.Equal(t, "MALFORMED_REQUEST", apptest.Reason(t, answer), field)
	}
}

func TestUserService_CompleteOnboarding(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin, sam := env.Admin(t), env.As(t, "student")
	var first *userv1.User
	for range 2 {
		response, err := sam.Users.CompleteOnboarding(t.Context(), &userv1.CompleteOnboardingRequest{})
		require.NoError(t, err)
		if first == nil {
			first = response.GetUser()
		}
		require.Equal(t, first.String(), response.GetUser().String(), "done is done")
	}
	require.NotNil(t, first.GetOnboardingCompletedAt())
	events := apptest.All[string](t, admin, `SELECT id::text FROM events WHERE type = 'user.onboarding_completed'`)
	require.Len(t, events, 1)
	apptest.Handled(t, admin, events[0])
	require.Len(t, mailsTo(t, admin), 2)
}

func TestUserService_ListUsers(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, hana := env.Admin(t), env.As(t, "hr_manager")
	apptest.Exec(t, admin, `UPDATE user_profiles SET is_active = false WHERE email = 'emma@acme.example'`)
	apptest.Exec(t, admin, `UPDATE user_profiles SET deleted_at = now() WHERE email = 'paul@acme.example'`)
	list := func(as apptest.Clients, r *userv1.ListUsersRequest) (all []string) {
		for range 30 {
			response, err := as.Users.ListUsers(t.Context(), r)
			require.NoError(t, err)
			for _, u := range response.GetUsers() {
				all = append(all, strings.TrimSuffix(u.GetEmail(), "@acme.example"))
			}
			if r.PageToken = response.GetNextPageToken(); r.PageToken == "" {
				break
			}
		}
		return all
	}
	byName := userv1.UserSort_USER_SORT_NAME
	everybody := []string{"ana", "ben", "cara", "carl", "cleo", "clive", "emma", "hana", "rita", "sam", "sue", "tom"}
	for _, size := range []int32{0, 1, 5} {
		require.Equal(t, everybody, list(hana, &userv1.ListUsersRequest{PageSize: size, Sort: byName}))
		require.ElementsMatch(t, everybody, list(hana, &userv1.ListUsersRequest{PageSize: size}))
	}
	require.Equal(t, []string{"emma"}, list(hana, &userv1.ListUsersRequest{IsActive: new(false)}))
	require.Equal(t, []string{"clive"}, list(hana, &userv1.ListUsersRequest{Query: "INITECH"}))
	require.Equal(t, []string{"sam"}, list(env.As(t, "student"), &userv1.ListUsersRequest{}), "who sees himself only finds himself")
	require.Equal(t, []string{"sam", "tom"}, list(env.As(t, "trainer"), &userv1.ListUsersRequest{
		Sort: byName, Query: "acme",
		IsActive: new(true),
	})[3:])
	require.Len(t, list(env.As(t, "greta@globex.example"), &userv1.ListUsersRequest{}), 3)
	_, err := hana.Users.ListUsers(t.Context(), &userv1.ListUsersRequest{Query: strings.Repeat("x", 201)})
	invalid(t, err, "query: query")
	require.Nil(t, get(t, hana, idOf(t, "paul@acme.example")), "deleted")
	require.Nil(t, get(t, env.As(t, "student"), idOf(t, "trainer")))
	require.Nil(t, get(t, hana, uuid.NewString()))
}

func TestUserService_Deactivate(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin := env.Admin(t)
	ana, hana, emma := env.As(t, "admin"), env.As(t, "hr_manager"), env.As(t, "employee")
	deactivate := func(as apptest.Clients, id string, version int64) error {
		_, err := as.Users.DeactivateUser(t.Context(), &userv1.DeactivateUserRequest{Id: id, Version: version})
		return err
	}
	reactivate := func(as apptest.Clients, id string, version int64) error {
		_, err := as.Users.ReactivateUser(t.Context(), &userv1.ReactivateUserRequest{Id: id, Version: version})
		return err
	}
	id := idOf(t, "employee")
	refused(t, deactivate(hana, id, 2), connect.CodeAborted, "USER_VERSION_STALE")
	refused(t, deactivate(env.As(t, "recruiter"), id, 1), connect.CodePermissionDenied, "PERMISSION_DENIED")
	refused(t, deactivate(env.As(t, "greta@globex.example"), id, 1), connect.CodeNotFound, "USER_NOT_FOUND")
	require.NoError(t, deactivate(hana, id, 1))
	_, err := emma.Users.GetMe(t.Context(), &userv1.GetMeRequest{})
	refused(t, err, connect.CodeUnauthenticated, "ACCOUNT_INACTIVE")
	require.NoError(t, reactivate(hana, id, 2))
	_, err = emma.Users.GetMe(t.Context(), &userv1.GetMeRequest{})
	require.NoError(t, err)
	require.Equal(t, 2, apptest.One[int](t, admin, `SELECT count(*) FROM audit_logs WHERE record_id = $1
		AND 'is_active' = ANY (changed_fields)`, id))

	// Nobody himself, nobody the last admin, nobody but an admin an admin.
	refused(t, deactivate(ana, idOf(t, "admin"), 1), connect.CodeFailedPrecondition, "USER_SELF")
	refused(t, deactivate(hana, idOf(t, "admin"), 1), connect.CodePermissionDenied, "USER_ADMIN_ONLY")
	refused(t, deactivate(hana, idOf(t, "super_admin"), 1), connect.CodePermissionDenied, "USER_ADMIN_ONLY")
	sue := env.As(t, "super_admin")
	refused(t, deactivate(sue, idOf(t, "admin"), 1), connect.CodeFailedPrecondition, "USER_LAST_ADMIN")
	for name, sql := range map[string]string{
		"revoked":  `UPDATE user_roles SET revoked_at = now() WHERE user_id = $1`,
		"expired":  `UPDATE user_roles SET expires_at = now() WHERE user_id = $1`,
		"inactive": `UPDATE user_profiles SET is_active = false WHERE id = $1`,
		"deleted":  `UPDATE user_profiles SET deleted_at = now() WHERE id = $1`,
	} {
		former := add(t, admin, "acme", name+"@acme.example", "")
		apptest.Exec(t, admin, `INSERT INTO user_roles (org_id, user_id, role_name) SELECT org_id, id, 'admin' FROM user_profiles
			WHERE id = $1`, former)
		apptest.Exec(t, admin, sql, former)
		refused(t, deactivate(sue, idOf(t, "admin"), 1), connect.CodeFailedPrecondition, "USER_LAST_ADMIN")
	}
	apptest.Exec(t, admin, `INSERT INTO user_roles (org_id, user_id, role_name) SELECT org_id, id, 'admin' FROM user_profiles
		WHERE email = 'tom@acme.example'`)

	// Two admins who deactivate each other at once: one stays.
	tom, done := env.As(t, "trainer"), make(chan error, 2)
	anaID, tomID := idOf(t, "admin"), idOf(t, "trainer")
	go func() { done <- deactivate(ana, tomID, 1) }()
	go func() { done <- deactivate(tom, anaID, 1) }()
	<-done
	<-done
	require.Equal(t, 1, apptest.One[int](t, admin, `
		SELECT count(*) FROM user_profiles WHERE is_active AND email IN ('ana@acme.example', 'tom@acme.example')`))
}
