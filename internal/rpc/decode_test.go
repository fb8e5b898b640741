package rpc

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
)

func TestDecode_JSON(t *testing.T) {
	t.Parallel()
	b := setup(t)
	edit := func(from, to string) string { return strings.Replace(goodJobJSON, from, to, 1) }
	for name, test := range map[string]struct {
		body      string
		reason    string
		message   string
		violation string
	}{
		"no JSON":          {`hello`, apierr.ReasonMalformed, "The request is not valid JSON.", ""},
		"nothing":          {``, apierr.ReasonMalformed, "The request is not valid JSON.", ""},
		"cut off":          {goodJobJSON[:40], apierr.ReasonMalformed, "The request is not valid JSON.", ""},
		"something behind": {goodJobJSON + `{}`, apierr.ReasonMalformed, "The request is not valid JSON.", ""},
		"a list":           {`[]`, apierr.ReasonMalformed, "The request does not have the form that this procedure takes.", ""},
		"not UTF-8":        {edit("Berlin", "\xff"), apierr.ReasonMalformed, "The request is not valid UTF-8.", ""},
		"a misspelt field": {
			edit("title", "titel"), apierr.ReasonMalformed, `There is no field "titel".`,
			`titel unknown_field: There is no field "titel".`,
		},
		"a field of all fields": {
			`{"` + strings.Repeat("x", 100) + `":1}`, apierr.ReasonMalformed,
			`There is no field "` + strings.Repeat("x", 64) + `…".`, "",
		},
		"a number for text": {
			edit(`"Engineer"`, `1`), apierr.ReasonMalformed, "The value of title is not of the right kind.",
			"title wrong_kind: The value of title is not of the right kind.",
		},
		"text in a list of text": {
			edit(`["Go"]`, "[\"Go\",\n\t7]"), apierr.ReasonMalformed,
			"The value of required_skills[1] is not of the right kind.", "",
		},
		"text for a number": {
			edit(`{`, `{"salaryMin":"much",`), apierr.ReasonMalformed, "The value of salary_min is not of the right kind.",
			"",
		},
		"a number too large": {
			edit(`{`, `{"experience_years_min":99999999999,`), apierr.ReasonMalformed,
			"The value of experience_years_min is not of the right kind.", "",
		},
		"a field twice":    {edit(`{`, `{"title":"A",`), apierr.ReasonMalformed, "", ""},
		"half a surrogate": {edit("Berlin", `\ud800`), apierr.ReasonMalformed, "", ""},
		"NUL": {
			edit("Berlin", `Ber\u0000lin`), apierr.ReasonInvalid, "Text may not contain the character U+0000.",
			"location string.no_nul: Text may not contain the character U+0000.",
		},
		"NUL in a list": {
			edit(`"Go"`, `"Go","\u0000"`), apierr.ReasonInvalid, "Text may not contain the character U+0000.",
			"required_skills[1] string.no_nul: Text may not contain the character U+0000.",
		},
		"NUL raw": {edit("Berlin", "Ber\x00lin"), apierr.ReasonMalformed, "The request is not valid JSON.", ""},
		"too deep": {
			strings.Repeat(`[`, 101) + strings.Repeat(`]`, 101), apierr.ReasonMalformed,
			"The request is nested more than 100 levels deep.", "",
		},
		"very deep": {
			strings.Repeat(`{"title":`, 100_000), apierr.ReasonMalformed, "The request is nested more than 100 levels deep.",
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := b.call(t, createJob, test.body)
			require.Equal(t, http.StatusBadRequest, a.status)
			f := a.failure(t)
			require.Equal(t, connect.CodeInvalidArgument, f.code)
			require.Equal(t, test.reason, f.reason)
			if test.message != "" {
				require.Equal(t, test.message, f.message)
			}
			if test.violation != "" {
				require.Equal(t, []string{test.violation}, f.violations)
			}
		})
	}

	t.Run("good", func(t *testing.T) {
		t.Parallel()
		for _, body := range []string{goodJobJSON, strings.Replace(goodJobJSON, "required_skills", "requiredSkills", 1)} {
			a := b.call(t, createJob, body)
			require.Equal(t, http.StatusOK, a.status, a.body)
			require.JSONEq(t, `{"job":{"title":"Engineer"}}`, a.body)
		}
	})
}

func TestDecode_Nested(t *testing.T) {
	t.Parallel()
	b := setup(t)
	update := func(body string) failure {
		return b.call(t, "/intime.job.v1.JobService/UpdateJob", body, "Authorization", "Bearer recruiter").failure(t)
	}
	require.Equal(t, []string{`required_skills.vaules unknown_field: There is no field "required_skills.vaules".`},
		update(`{"id":"x","requiredSkills":{"vaules":[]}}`).violations)
	require.Equal(t, []string{"required_skills.values[0] wrong_kind: The value of required_skills.values[0] is not of the right kind."},
		update(`{"id":"ü","requiredSkills":{"values":[ {} ]}}`).violations)
}

// What connect says by itself has the same shape in every protocol.
func TestDecode_EveryProtocol(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) { b.chain.MaxMessageBytes = 2000 })

	t.Run("NUL", func(t *testing.T) {
		t.Parallel()
		for name, client := range b.clients(t) {
			job := goodJob()
			job.Location = "Ber\x00lin"
			_, err := client.CreateJob(t.Context(), job)
			f := failureOf(t, err)
			require.Equal(t, connect.CodeInvalidArgument, f.code, name)
			require.Equal(t, []string{"location string.no_nul: Text may not contain the character U+0000."}, f.violations, name)
		}
	})

	t.Run("TooLarge", func(t *testing.T) {
		t.Parallel()
		for name, client := range b.clients(t, connect.WithSendGzip()) {
			job := goodJob()
			job.Description = strings.Repeat("x", 3000)
			_, err := client.CreateJob(t.Context(), job)
			f := failureOf(t, err)
			require.Equal(t, connect.CodeResourceExhausted, f.code, name)
			require.Equal(t, apierr.ReasonTooLarge, f.reason, name)
		}
	})

	t.Run("BrokenMessage", func(t *testing.T) {
		t.Parallel()
		broken := "\xff\xff"
		for name, request := range map[string]struct{ contentType, body string }{
			"Connect":  {"application/proto", broken},
			"gRPC":     {"application/grpc", "\x00\x00\x00\x00\x02" + broken},
			"gRPC-Web": {"application/grpc-web+proto", "\x00\x00\x00\x00\x02" + broken},
		} {
			a := b.call(t, createJob, request.body, "Content-Type", request.contentType)
			if name == "Connect" {
				require.Equal(t, "The request is not a message of this procedure.", a.failure(t).message)
				continue
			}
			message := a.header.Get("Grpc-Message") // trailers come as headers where there is no body
			require.NotContains(t, message+a.body, "proto", name)
		}
	})
}

func TestDecode_Wire(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) { b.config.MaxBodyBytes = 4000 })

	for name, test := range map[string]struct {
		answer answer
		code   connect.Code
		reason string
	}{
		"content type": {
			b.call(t, createJob, goodJobJSON, "Content-Type", "text/plain"), connect.CodeInvalidArgument,
			apierr.ReasonMalformed,
		},
		"compression": {
			b.call(t, createJob, goodJobJSON, "Content-Encoding", "br"), connect.CodeUnimplemented,
			apierr.ReasonUnknownProcedure,
		},
		"compression that lies": {
			b.call(t, createJob, goodJobJSON, "Content-Encoding", "gzip"), connect.CodeInvalidArgument,
			apierr.ReasonMalformed,
		},
		"timeout": {
			b.call(t, createJob, goodJobJSON, "Connect-Timeout-Ms", "soon"), connect.CodeInvalidArgument,
			apierr.ReasonMalformed,
		},
		"protocol version": {
			b.call(t, createJob, goodJobJSON, "Connect-Protocol-Version", "9"), connect.CodeInvalidArgument,
			apierr.ReasonMalformed,
		},
		"method": {b.send(t, http.MethodGet, createJob, ""), connect.CodeUnimplemented, apierr.ReasonUnknownProcedure},
		"PUT":    {b.send(t, http.MethodPut, createJob, "{}"), connect.CodeUnimplemented, apierr.ReasonUnknownProcedure},
		"GET without message": {
			b.send(t, http.MethodGet, listJobs+"?encoding=json", "", "Authorization", "Bearer student"),
			connect.CodeInvalidArgument, apierr.ReasonMalformed,
		},
		"unknown method": {
			b.call(t, "/intime.job.v1.JobService/Nope", `{}`), connect.CodeUnimplemented, apierr.ReasonUnknownProcedure,
		},
		"unknown service": {
			b.call(t, "/intime.nope.v1.NopeService/Nope", `{}`), connect.CodeUnimplemented, apierr.ReasonUnknownProcedure,
		},
		"too large, declared": {
			b.call(t, createJob, strings.Repeat(" ", 4001)+goodJobJSON), connect.CodeResourceExhausted, apierr.ReasonTooLarge,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := test.answer.failure(t)
			require.Equal(t, test.code, f.code)
			require.Equal(t, test.reason, f.reason)
		})
	}

	t.Run("TooLargeUndeclared", func(t *testing.T) {
		t.Parallel()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+createJob,
			struct{ *strings.Reader }{strings.NewReader(strings.Repeat(" ", 5000))})
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer recruiter")
		require.EqualValues(t, 0, request.ContentLength)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		require.Equal(t, http.StatusTooManyRequests, response.StatusCode)
	})

	t.Run("GzipBomb", func(t *testing.T) {
		t.Parallel()
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write(bytes.Repeat([]byte(" "), 1<<20))
		_, _ = w.Write(bytes.Repeat([]byte(" "), DefaultMaxMessageBytes))
		require.NoError(t, w.Close())
		large := setup(t)
		a := large.call(t, createJob, packed.String(), "Content-Encoding", "gzip")
		require.Equal(t, apierr.ReasonTooLarge, a.failure(t).reason)
		// Who is not signed in does not get as far.
		a = large.call(t, createJob, packed.String(), "Content-Encoding", "gzip", "Authorization", "")
		require.Equal(t, apierr.ReasonUnauthenticated, a.failure(t).reason)
	})

	t.Run("GET", func(t *testing.T) {
		t.Parallel()
		query := func(message string) string {
			return listJobs + "?connect=v1&encoding=json&message=" + url.QueryEscape(message)
		}
		a := b.send(t, http.MethodGet, query(`{"page_size":1}`), "", "Authorization", "Bearer student")
		require.Equal(t, http.StatusOK, a.status, a.body)
		a = b.send(t, http.MethodGet, query(`{"page_sise":1}`), "", "Authorization", "Bearer student")
		require.Equal(t, []string{`page_sise unknown_field: There is no field "page_sise".`}, a.failure(t).violations)
	})
}

// A response that cannot be encoded tells nothing of the encoder.
func TestEncode_Failure(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.jobs.get = nil
	broken := setup(t, func(b *testBundle) {
		b.jobs.create = respondWith(&jobv1.CreateJobResponse{Job: &jobv1.Job{Title: "\xff"}})
	})
	for name, client := range broken.clients(t) {
		_, err := client.CreateJob(t.Context(), goodJob())
		f := failureOf(t, err)
		require.Equal(t, connect.CodeInternal, f.code, name)
		require.Equal(t, "Something went wrong on our side.", f.message, name)
	}
}

func TestBinaryCodec_DropsUnknownFields(t *testing.T) {
	t.Parallel()
	data, err := proto.Marshal(&jobv1.ListJobsResponse{NextPageToken: "x"})
	require.NoError(t, err)
	var request jobv1.GetJobRequest
	require.NoError(t, binaryCodec{}.Unmarshal(append(data, 0xf8, 0x07, 0x01), &request))
	require.Empty(t, request.ProtoReflect().GetUnknown())
}
