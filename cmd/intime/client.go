package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"

	errorv1 "github.com/intime-solutions/intime/gen/go/intime/error/v1"
	"github.com/intime-solutions/intime/gen/go/intime/event/v1/eventv1connect"
)

// endpoint is a running server, called as anybody else calls it.
type endpoint struct {
	URL   string `env:"INTIME_URL" default:"http://127.0.0.1:8080" help:"The server's address."`
	Token string `env:"INTIME_TOKEN" help:"The bearer token to call with; intime token prints one for a demo person." placeholder:"TOKEN"`
}

// remote is an endpoint whose answers are printed.
type remote struct {
	endpoint

	Output string `short:"o" default:"table" enum:"table,json,csv" help:"How to print: ${enum}."`
}

// callTimeout is how long one call of the command line may take.
const callTimeout = 35 * time.Second

func (e endpoint) httpClient() *http.Client {
	return &http.Client{Timeout: callTimeout, Transport: withToken(e.Token)}
}

// streams is a client for answers that take as long as they like.
func (e endpoint) streams() eventv1connect.EventServiceClient {
	return eventv1connect.NewEventServiceClient(&http.Client{Transport: withToken(e.Token)}, e.URL)
}

func (e endpoint) events() eventv1connect.EventServiceClient {
	return eventv1connect.NewEventServiceClient(e.httpClient(), e.URL)
}

func (e endpoint) handlers() eventv1connect.EventHandlerServiceClient {
	return eventv1connect.NewEventHandlerServiceClient(e.httpClient(), e.URL)
}

func (e endpoint) deadLetters() eventv1connect.DeadLetterServiceClient {
	return eventv1connect.NewDeadLetterServiceClient(e.httpClient(), e.URL)
}

type withToken string

// RoundTrip sends the request with the token.
func (t withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	if t != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+string(t))
	}
	return http.DefaultTransport.RoundTrip(r)
}

// explain makes an answer of the server readable: the sentence, the fields to blame, the request's id.
func explain(err error) error {
	failed, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s", failed.Message(), failed.Code())
	detail := detailOf(failed)
	if detail == nil {
		return errors.New(b.String() + ")")
	}
	fmt.Fprintf(&b, ", %s, request %s)", detail.GetReason(), detail.GetRequestId())
	for _, v := range detail.GetViolations() {
		fmt.Fprintf(&b, "\n  %s: %s", v.GetField(), v.GetMessage())
	}
	return errors.New(b.String())
}

// detailOf is what the server says about the error; nil for an error that is not the server's.
func detailOf(err *connect.Error) *errorv1.ErrorDetail {
	for _, d := range err.Details() {
		if value, err := d.Value(); err == nil {
			if detail, ok := value.(*errorv1.ErrorDetail); ok {
				return detail
			}
		}
	}
	return nil
}
