package student_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	studentv1 "github.com/intime-solutions/intime/gen/go/intime/student/v1"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
)

func TestMain(m *testing.M) { apptest.Main(m) }

func idOf(t *testing.T, person string) string {
	t.Helper()
	p, ok := demo.Find(person)
	require.True(t, ok)
	return p.ID().String()
}

func create(t *testing.T, as apptest.Clients, email string, change ...func(r *studentv1.CreateStudentRequest)) *studentv1.Student {
	t.Helper()
	r := &studentv1.CreateStudentRequest{Email: email, FullName: "Nina New"}
	for _, f := range change {
		f(r)
	}
	response, err := as.Students.CreateStudent(t.Context(), r)
	require.NoError(t, err)
	return response.GetStudent()
}

// get is the student as the person sees him; nil where he does not.
func get(t *testing.T, as apptest.Clients, id string) *studentv1.Student {
	t.Helper()
	response, err := as.Students.GetStudent(t.Context(), &studentv1.GetStudentRequest{Id: id})
	if connect.CodeOf(err) == connect.CodeNotFound {
		return nil
	}
	require.NoError(t, err)
	return response.GetStudent()
}

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

func today(t *testing.T, admin *pgx.Conn) string {
	t.Helper()
	return apptest.One[string](t, admin, `SELECT (now() AT TIME ZONE 'UTC')::date::text`)
}

func TestStudentService_CreateStudent(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin, tom := env.Admin(t), env.As(t, "trainer")
	created := create(t, tom, " Nina@ACME.example", func(r *studentv1.CreateStudentRequest) {
		r.FullName, r.Phone, r.EnrollmentDate, r.CurrentModule = " Nina New ", "+351912345678", "2026-02-28", " Gosu "
	})
	require.Equal(t, "nina@acme.example Nina New +351912345678 2026-02-28 Gosu 1", strings.Join([]string{
		created.GetEmail(), created.GetFullName(), created.GetPhone(), created.GetEnrollmentDate(), created.GetCurrentModule(),
		strconv.FormatInt(created.GetVersion(), 10),
	}, " "))
	require.Equal(t, created.String(), get(t, tom, created.GetId()).String())
	require.Nil(t, get(t, env.As(t, "greta@globex.example"), created.GetId()))
	require.Equal(t, []string{"student"}, apptest.All[string](t, admin, `SELECT role_name FROM user_roles WHERE user_id = $1`,
		created.GetId()))
	apptest.Handled(t, admin, apptest.One[string](t, admin, `SELECT id::text FROM events WHERE type = 'user.created'`))
	require.Equal(t, 1, apptest.One[int](t, admin, `SELECT count(*) FROM outgoing_mails WHERE recipient = 'nina@acme.example'`))

	require.Equal(t, today(t, admin), create(t, tom, "today@acme.example").GetEnrollmentDate())
	_, err := tom.Students.CreateStudent(t.Context(), &studentv1.CreateStudentRequest{Email: "NINA@acme.example", FullName: "Another"})
	refused(t, err, connect.CodeAlreadyExists, "USER_EMAIL_TAKEN")
	require.Equal(t, 2, apptest.One[int](t, admin, `SELECT count(*) FROM events WHERE type = 'user.created'`), "both or neither")
	_, err = env.As(t, "recruiter").Students.CreateStudent(t.Context(), &studentv1.CreateStudentRequest{
		Email:    "x@acme.example",
		FullName: "X",
	})
	refused(t, err, connect.CodePermissionDenied, "PERMISSION_DENIED")
	for want, r := range map[string]*studentv1.CreateStudentRequest{
		"email: user.email":                      {Email: "x", FullName: "X"},
		"full_name: user.full_name":              {Email: "x@acme.example", FullName: "\u2003"},
		"phone: user.phone":                      {Email: "x@acme.example", FullName: "X", Phone: "0"},
		"enrollment_date: date":                  {Email: "x@acme.example", FullName: "X", EnrollmentDate: "2026-02-30"},
		"current_module: student.current_module": {Email: "x@acme.example", FullName: "X", CurrentModule: strings.Repeat("x", 201)},
	} {
		_, err = tom.Students.CreateStudent(t.Context(), r)
		invalid(t, err, want)
	}
	_, err = tom.Students.CreateStudent(t.Context(), &studentv1.CreateStudentRequest{
		Email: "x@acme.example", FullName: "X",
		EnrollmentDate: "23.11.2026",
	})
	invalid(t, err, "enrollment_date: date")
}

func TestStudentService_UpdateStudent(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	tom := env.As(t, "trainer")
	update := func(as apptest.Clients, r *studentv1.UpdateStudentRequest) (*studentv1.Student, error) {
		response, err := as.Students.UpdateStudent(t.Context(), r)
		return response.GetStudent(), err
	}
	progress := func(values map[string]int32) *studentv1.UpdateStudentRequest_CourseProgress {
		return &studentv1.UpdateStudentRequest_CourseProgress{Values: values}
	}
	created := create(t, tom, "nina@acme.example")
	id := created.GetId()
	updated, err := update(tom, &studentv1.UpdateStudentRequest{
		Id: id, Version: 1, FullName: new(" New "), Phone: new("+4912"), EnrollmentDate: new("2026-01-02"), CurrentModule: new(" Java "),
		CourseProgress: progress(map[string]int32{"Gosu": 0, "Java": 100}),
	})
	require.NoError(t, err)
	require.Equal(t, updated.String(), get(t, tom, id).String())
	require.Equal(t, "New +4912 2026-01-02 Java map[Gosu:0 Java:100] 2", fmt.Sprint(updated.GetFullName(), " ", updated.GetPhone(), " ",
		updated.GetEnrollmentDate(), " ", updated.GetCurrentModule(), " ", updated.GetCourseProgress(), " ", updated.GetVersion()))
	kept, err := update(tom, &studentv1.UpdateStudentRequest{Id: id, Version: 2, Clear: []studentv1.UpdateStudentRequest_Clearable{1, 2}})
	require.NoError(t, err)
	require.Empty(t, kept.GetPhone()+kept.GetCurrentModule())
	require.Equal(t, map[string]int32{"Gosu": 0, "Java": 100}, kept.GetCourseProgress(), "what is not sent stays")
	emptied, err := update(tom, &studentv1.UpdateStudentRequest{Id: id, Version: 3, CourseProgress: progress(nil)})
	require.NoError(t, err)
	require.Empty(t, emptied.GetCourseProgress())

	_, err = update(tom, &studentv1.UpdateStudentRequest{Id: id, Version: 3})
	refused(t, err, connect.CodeAborted, "STUDENT_VERSION_STALE")
	for _, unknown := range []string{uuid.NewString(), idOf(t, "candidate")} {
		_, err = update(tom, &studentv1.UpdateStudentRequest{Id: unknown, Version: 1})
		refused(t, err, connect.CodeNotFound, "STUDENT_NOT_FOUND")
	}
	_, err = update(env.As(t, "greta@globex.example"), &studentv1.UpdateStudentRequest{Id: id, Version: 4})
	refused(t, err, connect.CodeNotFound, "STUDENT_NOT_FOUND")
	for want, r := range map[string]*studentv1.UpdateStudentRequest{
		"version: student.version": {Id: id},
		"phone: student.clear_conflict": {
			Id: id, Version: 4, Phone: new("+4912"),
			Clear: []studentv1.UpdateStudentRequest_Clearable{1},
		},
		"full_name: user.full_name":              {Id: id, Version: 4, FullName: new("\u2003")},
		"current_module: student.current_module": {Id: id, Version: 4, CurrentModule: new("\u2003")},
		`course_progress.values["Gosu"]: student.course_progress`: {
			Id: id, Version: 4,
			CourseProgress: progress(map[string]int32{"Gosu": 101}),
		},
		`course_progress.values["Java"]: student.course_progress`: {
			Id: id, Version: 4,
			CourseProgress: progress(map[string]int32{"Java": -1}),
		},
		`course_progress.values[" "]: student.course_progress.module`: {
			Id: id, Version: 4,
			CourseProgress: progress(map[string]int32{" ": 1}),
		},
		"enrollment_date: date": {Id: id, Version: 4, EnrollmentDate: new("2026-04-31")},
	} {
		_, err = update(tom, r)
		invalid(t, err, want)
	}

	// A student changes himself, but not what the staff decides, and nobody else.
	sam, self := env.As(t, "student"), idOf(t, "student")
	_, err = update(sam, &studentv1.UpdateStudentRequest{Id: self, Version: 1, Phone: new("+4912"), CurrentModule: new("Gosu")})
	require.NoError(t, err)
	require.Equal(t, map[string]int32{"PolicyCenter": 60}, get(t, sam, self).GetCourseProgress())
	_, err = update(sam, &studentv1.UpdateStudentRequest{Id: self, Version: 2, CourseProgress: progress(map[string]int32{"Gosu": 100})})
	refused(t, err, connect.CodePermissionDenied, "STUDENT_STAFF_ONLY")
	_, err = update(sam, &studentv1.UpdateStudentRequest{Id: self, Version: 2, EnrollmentDate: new("2026-01-01")})
	refused(t, err, connect.CodePermissionDenied, "STUDENT_STAFF_ONLY")
	_, err = update(sam, &studentv1.UpdateStudentRequest{Id: id, Version: 4, FullName: new("x")})
	refused(t, err, connect.CodeNotFound, "STUDENT_NOT_FOUND")
}

func TestStudentService_MarkGraduated(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true})
	admin, tom := env.Admin(t), env.As(t, "trainer")
	graduate := func(as apptest.Clients, r *studentv1.MarkGraduatedRequest) (*studentv1.Student, error) {
		response, err := as.Students.MarkGraduated(t.Context(), r)
		return response.GetStudent(), err
	}
	tomorrow, err := time.Parse(time.DateOnly, today(t, admin))
	require.NoError(t, err)
	created := create(t, tom, "nina@acme.example", func(r *studentv1.CreateStudentRequest) { r.EnrollmentDate = "2026-01-15" })
	id := created.GetId()
	for want, r := range map[string]*studentv1.MarkGraduatedRequest{
		"grade: required":          {Id: id, Version: 1},
		"grade: student.grade":     {Id: id, Version: 1, Grade: new(int32(101))},
		"version: student.version": {Id: id, Grade: new(int32(80))},
		"graduation_date: date":    {Id: id, Version: 1, Grade: new(int32(80)), GraduationDate: "2026-02-30"},
		"graduation_date: student.graduation_date.before_enrollment": {
			Id: id, Version: 1, Grade: new(int32(80)),
			GraduationDate: "2026-01-14",
		},
		"graduation_date: student.graduation_date.future": {
			Id: id, Version: 1, Grade: new(int32(80)), GraduationDate: tomorrow.AddDate(0, 0, 1).Format(time.DateOnly),
		},
	} {
		_, err := graduate(tom, r)
		invalid(t, err, want)
	}
	_, err = graduate(tom, &studentv1.MarkGraduatedRequest{Id: id, Version: 2, Grade: new(int32(80))})
	refused(t, err, connect.CodeAborted, "STUDENT_VERSION_STALE")
	_, err = graduate(env.As(t, "greta@globex.example"), &studentv1.MarkGraduatedRequest{Id: id, Version: 1, Grade: new(int32(80))})
	refused(t, err, connect.CodeNotFound, "STUDENT_NOT_FOUND")
	_, err = graduate(env.As(t, "student"), &studentv1.MarkGraduatedRequest{Id: idOf(t, "student"), Version: 1, Grade: new(int32(80))})
	refused(t, err, connect.CodePermissionDenied, "PERMISSION_DENIED")
	require.Zero(t, apptest.One[int](t, admin, `SELECT count(*) FROM events WHERE type = 'course.graduated'`), "refused is not published")

	graduated, err := graduate(tom, &studentv1.MarkGraduatedRequest{
		Id: id, Version: 1, Grade: new(int32(80)),
		GraduationDate: "2026-01-15",
	})
	require.NoError(t, err)
	require.Equal(t, "2026-01-15", graduated.GetGraduationDate())
	require.Equal(t, int64(2), graduated.GetVersion())
	_, err = graduate(tom, &studentv1.MarkGraduatedRequest{Id: id, Version: 2, Grade: new(int32(80))})
	refused(t, err, connect.CodeFailedPrecondition, "STUDENT_ALREADY_GRADUATED")
	// What it is for: he is a candidate now, and the recruiting team knows.
	apptest.Handled(t, admin, apptest.One[string](t, admin, `SELECT id::text FROM events WHERE type = 'course.graduated'`))
	require.Equal(t, "bench true", apptest.One[string](t, admin,
		`SELECT candidate_status || ' ' || candidate_ready_for_placement FROM user_profiles WHERE id = $1`, id))
	require.Equal(t, []string{"ben@acme.example", "rita@acme.example"}, apptest.All[string](t, admin,
		`SELECT recipient FROM outgoing_mails WHERE subject LIKE '%graduated%' ORDER BY 1`))
	_, err = tom.Students.UpdateStudent(t.Context(), &studentv1.UpdateStudentRequest{
		Id: id, Version: get(t, tom, id).GetVersion(), EnrollmentDate: new("2026-01-16"),
	})
	invalid(t, err, "enrollment_date: student.enrollment_date.after_graduation")

	other := create(t, tom, "otto@acme.example")
	graduated, err = graduate(tom, &studentv1.MarkGraduatedRequest{Id: other.GetId(), Version: 1, Grade: new(int32(0))})
	require.NoError(t, err)
	require.Equal(t, today(t, admin), graduated.GetGraduationDate())
	require.Equal(t, "0", apptest.One[string](t, admin,
		`SELECT payload ->> 'grade' FROM events WHERE type = 'course.graduated' AND payload ->> 'studentId' = $1`, other.GetId()))
}

func TestStudentService_DeleteStudent(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, tom := env.Admin(t), env.As(t, "trainer")
	remove := func(id string, version int64) error {
		_, err := tom.Students.DeleteStudent(t.Context(), &studentv1.DeleteStudentRequest{Id: id, Version: version})
		return err
	}
	id := create(t, tom, "gone@acme.example").GetId()
	refused(t, remove(id, 2), connect.CodeAborted, "STUDENT_VERSION_STALE")
	_, err := env.As(t, "recruiter").Students.DeleteStudent(t.Context(), &studentv1.DeleteStudentRequest{Id: id, Version: 1})
	refused(t, err, connect.CodePermissionDenied, "PERMISSION_DENIED")
	require.NoError(t, remove(id, 1))
	refused(t, remove(id, 2), connect.CodeNotFound, "STUDENT_NOT_FOUND")
	require.Nil(t, get(t, tom, id))
	require.Equal(t, []string{"user.created", "user.deleted"},
		apptest.All[string](t, admin, `SELECT action FROM audit_logs WHERE record_id = $1 ORDER BY id`, id))
	create(t, tom, "gone@acme.example")
	refused(t, remove(idOf(t, "candidate"), 1), connect.CodeNotFound, "STUDENT_NOT_FOUND")
	for _, set := range []string{"candidate_status = 'bench'", "employee_hire_date = '2026-01-01'", "client_company_name = 'Initech'"} {
		more := create(t, tom, uuid.NewString()+"@more.example").GetId()
		apptest.Exec(t, admin, `UPDATE user_profiles SET `+set+` WHERE id = $1`, more)
		refused(t, remove(more, 1), connect.CodeFailedPrecondition, "STUDENT_NOT_ONLY")
	}
	apptest.Exec(t, admin, `UPDATE user_profiles SET student_enrollment_date = '2026-01-01' WHERE email = 'ana@acme.example'`)
	refused(t, remove(idOf(t, "admin"), 1), connect.CodeFailedPrecondition, "STUDENT_NOT_ONLY")
}

func TestStudentService_ListStudents(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{})
	admin, tom := env.Admin(t), env.As(t, "trainer")
	for _, name := range []string{"ada", "Bob", "cyd"} {
		create(t, tom, name+"@list.example", func(r *studentv1.CreateStudentRequest) {
			r.FullName, r.CurrentModule = name,
				"Module "+name
		})
	}
	apptest.Exec(t, admin, `UPDATE user_profiles SET student_graduation_date = '2026-10-01' WHERE full_name = 'Bob'`)
	type request = studentv1.ListStudentsRequest
	list := func(as apptest.Clients, r *request) (all []string) {
		for range 10 {
			response, err := as.Students.ListStudents(t.Context(), r)
			require.NoError(t, err)
			for _, s := range response.GetStudents() {
				all = append(all, s.GetFullName())
			}
			if r.PageToken = response.GetNextPageToken(); r.PageToken == "" {
				break
			}
		}
		return all
	}
	for name, c := range map[string]struct {
		r    *request
		want []string
	}{
		"newest":    {&request{Query: "list.example"}, []string{"cyd", "Bob", "ada"}},
		"by name":   {&request{Sort: studentv1.StudentSort_STUDENT_SORT_NAME}, []string{"ada", "Bob", "cyd", "Sam Student"}},
		"graduated": {&request{Graduated: new(true)}, []string{"Bob"}},
		"not yet": {&request{Graduated: new(false), Sort: studentv1.StudentSort_STUDENT_SORT_NAME}, []string{
			"ada", "cyd",
			"Sam Student",
		}},
		"module": {&request{CurrentModule: " Module cyd "}, []string{"cyd"}},
		"search": {&request{Query: "ADA@"}, []string{"ada"}},
	} {
		for _, size := range []int32{0, 1, 2} {
			c.r.PageSize, c.r.PageToken = size, ""
			require.Equal(t, c.want, list(tom, c.r), "%s, %d to a page", name, size)
		}
	}
	require.Equal(t, []string{"Sam Student"}, list(env.As(t, "student"), &request{}), "a student finds himself")
	require.Empty(t, list(env.As(t, "greta@globex.example"), &request{}))
	require.Len(t, list(env.As(t, "recruiter"), &request{}), 4)
	_, err := tom.Students.ListStudents(t.Context(), &request{PageSize: 101})
	invalid(t, err, "page_size: page_size")
}
