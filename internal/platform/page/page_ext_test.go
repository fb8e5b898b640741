package page_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/page"
)

// filters are a list's; the field names count too.
type filters struct {
	Status []string
	Search string
}

// requireRefused requires the one answer that a token gets which is not accepted.
func requireRefused(t *testing.T, err error, explanation ...any) {
	t.Helper()
	var refused *apierr.Error
	require.ErrorAs(t, err, &refused, explanation...)
	require.Equal(t, connect.CodeInvalidArgument, refused.Code)
	require.Equal(t, apierr.ReasonPageToken, refused.Reason)
	require.Len(t, refused.Violations, 1)
	require.Equal(t, "page_token", refused.Violations[0].Field)
	require.Equal(t, refused.Message, refused.Violations[0].Message)
}

func TestToken(t *testing.T) {
	t.Parallel()
	after := uuid.MustParse("019ad724-5400-7000-8000-000000000001")
	mine := filters{Status: []string{"open"}, Search: "go"}
	text, err := page.Token{After: after}.Encode(mine)
	require.NoError(t, err)
	require.Equal(t, strings.Trim(text, "="), text)
	require.LessOrEqual(t, len(text), 200)
	require.NotContains(t, text, "+")
	require.NotContains(t, text, "/")

	token, err := page.Decode(text, mine)
	require.NoError(t, err)
	require.Equal(t, page.Token{After: after}, token)
	token, err = page.Decode("", mine)
	require.NoError(t, err)
	require.Equal(t, page.Token{}, token, "no token is the first page")

	for name, others := range map[string]any{
		"another value":          filters{Status: []string{"open"}, Search: "g"},
		"another list":           filters{Status: []string{"open", "closed"}, Search: "go"},
		"no filter":              filters{},
		"no filters at all":      nil,
		"the same, run together": filters{Status: []string{"opengo"}},
		"other fields":           struct{ State []string }{[]string{"open"}},
	} {
		_, err := page.Decode(text, others)
		requireRefused(t, err, name)
	}
}

func TestDecode_Refuses(t *testing.T) {
	t.Parallel()
	after := uuid.New()
	text, err := page.Token{After: after}.Encode(nil)
	require.NoError(t, err)
	plain, err := base64.RawURLEncoding.DecodeString(text)
	require.NoError(t, err)
	encode := func(from, to string) string {
		require.Contains(t, string(plain), from)
		return base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(plain), from, to, 1)))
	}
	for name, token := range map[string]string{
		"not base64":                "!",
		"padded":                    base64.URLEncoding.EncodeToString([]byte(`{"v":1}`)),
		"not JSON":                  base64.RawURLEncoding.EncodeToString([]byte("x")),
		"nothing in it":             base64.RawURLEncoding.EncodeToString(nil) + "e30",
		"JSON's null":               base64.RawURLEncoding.EncodeToString([]byte("null")),
		"a list":                    base64.RawURLEncoding.EncodeToString([]byte("[1]")),
		"cut off":                   text[:len(text)-8],
		"something behind":          text + text,
		"another version":           encode(`"v":1`, `"v":2`),
		"no version":                encode(`"v":1,`, ``),
		"a version that is text":    encode(`"v":1`, `"v":"1"`),
		"no place":                  encode(`"a":"`, `"b":"`),
		"a place that is no id":     encode(`"a":"`, `"a":"x`),
		"the place of a first page": encode(after.String(), uuid.Nil.String()),
		"other filters' digest":     encode(`"f":"`, `"f":"x`),
		"no digest":                 encode(`"f":"`, `"g":"`),
	} {
		_, err := page.Decode(token, nil)
		requireRefused(t, err, name)
	}
	// Every single changed byte is noticed, or changes nothing but the place.
	for i := range plain {
		changed := append([]byte(nil), plain...)
		changed[i] ^= 0x01
		token, err := page.Decode(base64.RawURLEncoding.EncodeToString(changed), nil)
		if err != nil {
			requireRefused(t, err)
			continue
		}
		require.Greater(t, i, strings.Index(string(plain), `"a":"`), "byte %d of %s", i, plain)
		require.NotEqual(t, uuid.Nil, token.After)
	}
}

func TestToken_FiltersThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	text, err := page.Token{After: uuid.New()}.Encode(nil)
	require.NoError(t, err)
	_, err = page.Token{After: uuid.New()}.Encode(func() {})
	require.Error(t, err)
	_, err = page.Decode(text, func() {})
	require.Error(t, err)
	var refused *apierr.Error
	require.NotErrorAs(t, err, &refused, "the program's mistake is not the caller's")
}

func TestSize(t *testing.T) {
	t.Parallel()
	for requested, want := range map[int32]int{
		-2147483648: 50, -1: 50, 0: 50, 1: 1, 50: 50, 99: 99, 100: 100, 101: 100, 2147483647: 100,
	} {
		require.Equal(t, want, page.Size(requested), "%d", requested)
	}
}

// Whatever a caller sends is either refused in the one way, or a token that says where to go on.
func FuzzDecode(f *testing.F) {
	mine := filters{Search: "go"}
	text, err := page.Token{After: uuid.MustParse("019ad724-5400-7000-8000-000000000001")}.Encode(mine)
	require.NoError(f, err)
	for _, seed := range []string{"", "!", text, text[1:], text + "\n", "e30", "bnVsbA", strings.ToUpper(text)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := page.Decode(text, mine)
		if err != nil {
			requireRefused(t, err)
			require.Equal(t, page.Token{}, token)
			return
		}
		if text == "" {
			require.Equal(t, page.Token{}, token)
			return
		}
		require.NotEqual(t, uuid.Nil, token.After)
		again, err := token.Encode(mine)
		require.NoError(t, err)
		same, err := page.Decode(again, mine)
		require.NoError(t, err)
		require.Equal(t, token, same)
		_, err = page.Decode(text, filters{Search: "other"})
		requireRefused(t, err)
	})
}
