// Package apierr holds the errors that callers of the API get to see: a code, a stable reason, a sentence for a person,
// and the fields to blame. Whatever is not an *Error leaves the server as "internal", without its text. Start at New.
package apierr

import (
	"fmt"
	"time"

	"connectrpc.com/connect"
)

// Violation says which rule a field broke.
type Violation struct {
	Field   string // the path of the field in the request, for example "required_skills[2]"
	Rule    string // the stable id of the rule
	Message string // a sentence for a person
}

// Error is an error that a caller of the API may see.
type Error struct {
	Code       connect.Code
	Reason     string // stable, for programs, for example "JOB_NOT_FOUND"
	Message    string // a sentence for a person
	Violations []Violation
	RetryAfter time.Duration // how long to wait before trying again; 0: no advice
	cause      error
}

// New returns an error with a code, a stable reason and a sentence.
func New(code connect.Code, reason, format string, args ...any) *Error {
	return &Error{Code: code, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Error returns the sentence, and the cause behind it for logs.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Message + ": " + e.cause.Error()
	}
	return e.Message
}

// Unwrap returns what caused the error; it never leaves the server.
func (e *Error) Unwrap() error { return e.cause }

// Because returns a copy of e with a cause for the log.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// After returns a copy of e that advises to try again after d.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// NotFound is the answer for what does not exist and for what belongs to somebody else: the two look the same.
func NotFound(reason, noun string) *Error {
	return New(connect.CodeNotFound, reason, "There is no such %s.", noun)
}

// Invalid is the answer for fields that break rules.
func Invalid(violations ...Violation) *Error {
	e := New(connect.CodeInvalidArgument, ReasonInvalid, "Some fields are not right.")
	if len(violations) == 1 {
		e.Message = violations[0].Message
	}
	e.Violations = violations
	return e
}

// Stale is the answer for a change that was made from a version that is not the newest any more.
func Stale(reason, noun string) *Error {
	return New(connect.CodeAborted, reason, "The %s was changed in the meantime. Load it again and repeat your change.", noun)
}
