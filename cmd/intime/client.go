package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	errorv1 "github.com/intime-solutions/intime/gen/go/intime/error/v1"
	"github.com/intime-solutions/intime/gen/go/intime/event/v1/eventv1connect"
)

// remote is a running server, called as anybody else calls it.
type remote struct {
	URL    string `env:"INTIME_URL" default:"http://127.0.0.1:8080" help:"The server's address."`
	Token  string `env:"INTIME_TOKEN" help:"The bearer token to call with; intime token prints one for a demo person." placeholder:"TOKEN"`
	Output string `short:"o" default:"table" enum:"table,json" help:"How to print: ${enum}."`
}

// callTimeout is how long one call of the command line may take.
const callTimeout = 35 * time.Second

func (r remote) httpClient() *http.Client {
	return &http.Client{Timeout: callTimeout, Transport: withToken(r.Token)}
}

func (r remote) events() eventv1connect.EventServiceClient {
	return eventv1connect.NewEventServiceClient(r.httpClient(), r.URL)
}

func (r remote) handlers() eventv1connect.EventHandlerServiceClient {
	return eventv1connect.NewEventHandlerServiceClient(r.httpClient(), r.URL)
}

func (r remote) deadLetters() eventv1connect.DeadLetterServiceClient {
	return eventv1connect.NewDeadLetterServiceClient(r.httpClient(), r.URL)
}

// print writes a response, or its rows as a table.
func (r remote) print(response proto.Message, header []string, rows [][]string) error {
	if r.Output == "json" {
		text, err := protojson.MarshalOptions{Multiline: true}.Marshal(response)
		if err != nil {
			return err
		}
		sayf("%s", text)
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
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
	for _, d := range failed.Details() {
		value, err := d.Value()
		if err != nil {
			continue
		}
		if detail, ok := value.(*errorv1.ErrorDetail); ok {
			fmt.Fprintf(&b, ", %s, request %s)", detail.GetReason(), detail.GetRequestId())
			for _, v := range detail.GetViolations() {
				fmt.Fprintf(&b, "\n  %s: %s", v.GetField(), v.GetMessage())
			}
			return errors.New(b.String())
		}
	}
	return errors.New(b.String() + ")")
}
