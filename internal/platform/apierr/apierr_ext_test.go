package apierr_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"strconv"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/apierr"
)

func TestError(t *testing.T) {
	t.Parallel()
	plain := apierr.New(connect.CodeAborted, "STALE", "The %s is %d%% old.", "job", 50)
	require.Equal(t, &apierr.Error{Code: connect.CodeAborted, Reason: "STALE", Message: "The job is 50% old."}, plain)
	require.EqualError(t, plain, "The job is 50% old.")
	require.NoError(t, errors.Unwrap(plain))

	caused := plain.Because(fmt.Errorf("read: %w", io.EOF))
	require.EqualError(t, caused, "The job is 50% old.: read: EOF")
	require.Equal(t, plain.Message, caused.Message, "the cause is for the log alone")
	require.ErrorIs(t, caused, io.EOF)
	require.NotErrorIs(t, plain, io.EOF, "the original stays as it was")

	later := caused.After(2 * time.Second)
	require.Equal(t, 2*time.Second, later.RetryAfter)
	require.Zero(t, caused.RetryAfter)
	require.ErrorIs(t, later, io.EOF)

	var found *apierr.Error
	require.ErrorAs(t, fmt.Errorf("create job: %w", later), &found)
	require.Same(t, later, found)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	require.Equal(t, &apierr.Error{Code: connect.CodeNotFound, Reason: "JOB_NOT_FOUND", Message: "There is no such job."},
		apierr.NotFound("JOB_NOT_FOUND", "job"))
	require.Equal(t, &apierr.Error{
		Code: connect.CodeAborted, Reason: "JOB_STALE",
		Message: "The job was changed in the meantime. Load it again and repeat your change.",
	}, apierr.Stale("JOB_STALE", "job"))

	one := apierr.Violation{Field: "title", Rule: "string.min_len", Message: "Give it a title."}
	two := apierr.Violation{Field: "location", Rule: "string.min_len", Message: "Say where."}
	require.Equal(t, &apierr.Error{
		Code: connect.CodeInvalidArgument, Reason: apierr.ReasonInvalid, Message: "Give it a title.", Violations: []apierr.Violation{one},
	}, apierr.Invalid(one), "one is said outright")
	require.Equal(t, &apierr.Error{
		Code: connect.CodeInvalidArgument, Reason: apierr.ReasonInvalid, Message: "Some fields are not right.",
		Violations: []apierr.Violation{one, two},
	}, apierr.Invalid(one, two))
}

// Reasons are for programs: stable words, each with one meaning.
func TestReasons(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	require.NoError(t, err)
	seen := map[string]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		require.True(t, ok)
		reason, err := strconv.Unquote(literal.Value)
		require.NoError(t, err)
		name := spec.Names[0].Name
		require.Regexp(t, `^Reason[A-Z]`, name)
		require.Regexp(t, `^[A-Z]+(_[A-Z]+)*$`, reason)
		require.Empty(t, seen[reason], "%s and %s are the same", name, seen[reason])
		seen[reason] = name
		return true
	})
	require.GreaterOrEqual(t, len(seen), 10)
}
