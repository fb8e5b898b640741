package apptest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/intime-solutions/intime/gen/go/intime/candidate/v1/candidatev1connect"
	errorv1 "github.com/intime-solutions/intime/gen/go/intime/error/v1"
	"github.com/intime-solutions/intime/gen/go/intime/event/v1/eventv1connect"
	"github.com/intime-solutions/intime/gen/go/intime/job/v1/jobv1connect"
	"github.com/intime-solutions/intime/gen/go/intime/session/v1/sessionv1connect"
	"github.com/intime-solutions/intime/gen/go/intime/student/v1/studentv1connect"
	"github.com/intime-solutions/intime/gen/go/intime/user/v1/userv1connect"
)

// Clients are the typed clients of one person.
type Clients struct {
	Candidates    candidatev1connect.CandidateServiceClient
	Events        eventv1connect.EventServiceClient
	Handlers      eventv1connect.EventHandlerServiceClient
	Jobs          jobv1connect.JobServiceClient
	Sessions      sessionv1connect.SessionServiceClient
	Students      studentv1connect.StudentServiceClient
	Users         userv1connect.UserServiceClient
	DeadLetters   eventv1connect.DeadLetterServiceClient
	EventSettings eventv1connect.EventSettingsServiceClient
}

// As returns the clients of a demo person, by address or role; of nobody in particular for an empty one.
func (e *Env) As(t *testing.T, person string) Clients {
	t.Helper()
	var token string
	if person != "" {
		token = e.Token(t, person)
	}
	return e.WithToken(token)
}

// WithToken returns clients that send the token.
func (e *Env) WithToken(token string) Clients { return e.Through(e.transport, token) }

// Through returns clients that send the token through the transport.
func (e *Env) Through(transport http.RoundTripper, token string) Clients {
	return NewClients(e.URL, token, transport)
}

// NewClients returns the clients of a server wherever it runs.
func NewClients(url, token string, transport http.RoundTripper) Clients {
	client := &http.Client{Transport: bearer{token: token, transport: transport}}
	return Clients{
		Candidates:    candidatev1connect.NewCandidateServiceClient(client, url),
		Events:        eventv1connect.NewEventServiceClient(client, url),
		Handlers:      eventv1connect.NewEventHandlerServiceClient(client, url),
		Jobs:          jobv1connect.NewJobServiceClient(client, url),
		Sessions:      sessionv1connect.NewSessionServiceClient(client, url),
		Students:      studentv1connect.NewStudentServiceClient(client, url),
		Users:         userv1connect.NewUserServiceClient(client, url),
		DeadLetters:   eventv1connect.NewDeadLetterServiceClient(client, url),
		EventSettings: eventv1connect.NewEventSettingsServiceClient(client, url),
	}
}

// Detail returns the error's detail; an empty one where it has none.
func Detail(err error) *errorv1.ErrorDetail {
	connectErr, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return &errorv1.ErrorDetail{}
	}
	for _, d := range connectErr.Details() {
		if value, err := d.Value(); err == nil {
			if detail, ok := value.(*errorv1.ErrorDetail); ok {
				return detail
			}
		}
	}
	return &errorv1.ErrorDetail{}
}

// Reason returns the stable reason of a failed answer to Call; empty for a success.
func Reason(t *testing.T, answer *httptest.ResponseRecorder) string {
	t.Helper()
	var failure struct {
		Details []struct {
			Value string `json:"value"`
		} `json:"details"`
	}
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &failure))
	for _, d := range failure.Details {
		data, err := base64.RawStdEncoding.DecodeString(d.Value)
		require.NoError(t, err)
		var detail errorv1.ErrorDetail
		require.NoError(t, proto.Unmarshal(data, &detail))
		return detail.GetReason()
	}
	return ""
}

type bearer struct {
	token     string
	transport http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.token != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.transport.RoundTrip(r)
}

func reader(body string) io.Reader { return strings.NewReader(body) }
