// Package demo fills a database with two organisations and people of every role, and plays the product's story on it.
// Start at Seed and Story.
package demo

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/intime-solutions/intime/internal/auth"
)

// namespace makes the demo's ids: the same on every machine, so that a token can be made without asking the database.
var namespace = uuid.MustParse("6d1f7f3a-52a2-5c3e-9a43-7f5f7d0e9b11") //nolint:gochecknoglobals // a constant; Go has none of this type

func idOf(name string) uuid.UUID { return uuid.NewSHA1(namespace, []byte(name)) }

// Organization is a tenant of the demo.
type Organization struct{ Name, Slug string }

// ID is the organisation's.
func (o Organization) ID() uuid.UUID { return idOf(o.Slug) }

// The demo's organisations.
func acme() Organization   { return Organization{Name: "Acme Staffing", Slug: "acme"} }
func globex() Organization { return Organization{Name: "Globex Training", Slug: "globex"} }

// Organizations are the demo's tenants.
func Organizations() []Organization { return []Organization{acme(), globex()} }

// Person is somebody of the demo.
type Person struct {
	Organization Organization
	Email        string
	FullName     string
	Role         string
	Candidate    *Candidate
	Company      string // a client's
	Student      bool
	Employee     bool
}

// Candidate is what makes a person a candidate.
type Candidate struct {
	Status     string
	Skills     []string
	Experience int
}

// ID is the subject of the person's tokens.
func (p Person) ID() uuid.UUID { return idOf(p.Email) }

// People are the demo's persons: every role in the first organisation, a few in the second.
func People() []Person {
	a, g := acme(), globex()
	return []Person{
		{Organization: a, Email: "sue@acme.example", FullName: "Sue Super", Role: "super_admin"},
		{Organization: a, Email: "ana@acme.example", FullName: "Ana Admin", Role: "admin"},
		{Organization: a, Email: "rita@acme.example", FullName: "Rita Recruiter", Role: "recruiter"},
		{Organization: a, Email: "ben@acme.example", FullName: "Ben Bench", Role: "bench_sales"},
		{Organization: a, Email: "tom@acme.example", FullName: "Tom Trainer", Role: "trainer"},
		{Organization: a, Email: "hana@acme.example", FullName: "Hana Human", Role: "hr_manager"},
		{Organization: a, Email: "sam@acme.example", FullName: "Sam Student", Role: "student", Student: true},
		{Organization: a, Email: "emma@acme.example", FullName: "Emma Employee", Role: "employee", Employee: true},
		{Organization: a, Email: "clive@acme.example", FullName: "Clive Client", Role: "client", Company: "Initech"},
		{
			Organization: a, Email: "cara@acme.example", FullName: "Cara Candidate", Role: "candidate",
			Candidate: &Candidate{Status: "bench", Skills: []string{"Go", "PostgreSQL", "gRPC"}, Experience: 6},
		},
		{
			Organization: a, Email: "carl@acme.example", FullName: "Carl Candidate", Role: "candidate",
			Candidate: &Candidate{Status: "active", Skills: []string{"Java", "Guidewire PolicyCenter", "Gosu"}, Experience: 9},
		},
		{
			Organization: a, Email: "cleo@acme.example", FullName: "Cleo Candidate", Role: "candidate",
			Candidate: &Candidate{Status: "active", Skills: []string{"go", "Kubernetes"}, Experience: 2},
		},
		{
			Organization: a, Email: "paul@acme.example", FullName: "Paul Placed", Role: "candidate",
			Candidate: &Candidate{Status: "placed", Skills: []string{"Go", "PostgreSQL"}, Experience: 7},
		},
		{Organization: g, Email: "greta@globex.example", FullName: "Greta Admin", Role: "admin"},
		{Organization: g, Email: "gus@globex.example", FullName: "Gus Recruiter", Role: "recruiter"},
		{
			Organization: g, Email: "gina@globex.example", FullName: "Gina Candidate", Role: "candidate",
			Candidate: &Candidate{Status: "active", Skills: []string{"Go", "PostgreSQL"}, Experience: 6},
		},
	}
}

// Find returns the person with the address, or the first with the role.
func Find(emailOrRole string) (Person, bool) {
	wanted := strings.ToLower(strings.TrimSpace(emailOrRole))
	people := People()
	i := slices.IndexFunc(people, func(p Person) bool { return p.Email == wanted })
	if i < 0 {
		i = slices.IndexFunc(people, func(p Person) bool { return p.Role == wanted })
	}
	if i < 0 {
		return Person{}, false
	}
	return people[i], true
}

// SignIns are the people as the sign-in page shows them.
func SignIns() []auth.DemoPerson {
	var all []auth.DemoPerson
	for _, p := range People() {
		all = append(all, auth.DemoPerson{
			UserID: p.ID(), Email: p.Email, FullName: p.FullName, Organization: p.Organization.Name, Roles: []string{p.Role},
		})
	}
	return all
}
