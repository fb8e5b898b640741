// Package principal says on whose behalf code runs. The server puts a Principal into the context of every call and every
// handler run; transactions take it from there. Start at Principal.
package principal

import (
	"context"
	"slices"

	"github.com/google/uuid"
)

// Scope is how far a permission reaches.
type Scope string

// The scopes of a permission.
const (
	ScopeOwn Scope = "own" // what belongs to the person himself
	ScopeAll Scope = "all" // everything in his organisation
)

// Principal is a person, or the system itself, acting in one organisation. It is read from the database for each call:
// nothing in it comes from claims that a person can edit.
type Principal struct {
	// UserID is the subject of the person's token; uuid.Nil for the system.
	UserID uuid.UUID
	// OrgID is the organisation he acts in.
	OrgID uuid.UUID
	// Roles are the names of the roles he holds now, sorted; none for the system.
	Roles []string
	// Permissions are what these roles permit, by "resource:action".
	Permissions map[string]Scope
}

// System returns the system itself, acting for an organisation. Only a worker's login can act as it.
func System(orgID uuid.UUID) Principal { return Principal{OrgID: orgID} }

// IsSystem says whether p is the system and not a person.
func (p Principal) IsSystem() bool { return p.UserID == uuid.Nil }

// Can says whether p holds the permission, to whatever extent; row level security holds him to the extent.
func (p Principal) Can(permission string) bool {
	_, ok := p.Permissions[permission]
	return ok
}

// CanAll says whether p holds the permission for everything in his organisation.
func (p Principal) CanAll(permission string) bool { return p.Permissions[permission] == ScopeAll }

// HasRole says whether p holds the role.
func (p Principal) HasRole(role string) bool { return slices.Contains(p.Roles, role) }

type principalKey struct{}

// With returns a context on behalf of p.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From returns the principal of the context; false where there is none.
func From(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}

// Request is what is known about the HTTP request behind a call, for logs and the audit log.
type Request struct {
	ID        string // the id that the client sees in X-Request-Id
	IP        string // the peer's address without port; empty where it is unknown
	UserAgent string // at most 256 bytes of it
	Procedure string // for example "/intime.job.v1.JobService/CreateJob"
}

type requestKey struct{}

// WithRequest returns a context for the request.
func WithRequest(ctx context.Context, r Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// RequestFrom returns the context's request; the zero Request where there is none.
func RequestFrom(ctx context.Context) Request {
	r, _ := ctx.Value(requestKey{}).(Request)
	return r
}

// Run is the run of an event handler that code belongs to. The database puts what the run publishes behind its event.
type Run struct {
	EventID uuid.UUID `json:"event_id"` // the event that the handler handles
	Handler string    `json:"handler"`  // the handler's name
}

type runKey struct{}

// WithRun returns a context for the run.
func WithRun(ctx context.Context, r Run) context.Context { return context.WithValue(ctx, runKey{}, r) }

// RunFrom returns the context's run; false where there is none.
func RunFrom(ctx context.Context) (Run, bool) {
	r, ok := ctx.Value(runKey{}).(Run)
	return r, ok
}
