package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/intime-solutions/intime/internal/auth"
)

// Mount is a service's handler and the path it answers at.
type Mount struct {
	Path    string
	Handler http.Handler
}

// At returns a mount; it takes what a generated constructor returns:
//
//	rpc.At(jobv1connect.NewJobServiceHandler(jobs, chain.HandlerOptions()...))
func At(path string, handler http.Handler) Mount { return Mount{Path: path, Handler: handler} }

// streams are the paths of the service's procedures that answer with streams.
func (m Mount) streams() map[string]bool {
	paths := map[string]bool{}
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(m.service()))
	if service, ok := descriptor.(protoreflect.ServiceDescriptor); err == nil && ok {
		for i := range service.Methods().Len() {
			if method := service.Methods().Get(i); method.IsStreamingServer() {
				paths[m.Path+string(method.Name())] = true
			}
		}
	}
	return paths
}

func (m Mount) service() string { return strings.Trim(m.Path, "/") }

// check finds what would leave a procedure unprotected: no declared authorization, or a handler without the chain.
func (m Mount) check(policy *auth.Policy) error {
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(m.service()))
	if err != nil {
		return fmt.Errorf("%s is mounted, but there is no such service: %w", m.Path, err)
	}
	service, ok := descriptor.(protoreflect.ServiceDescriptor)
	if !ok {
		return fmt.Errorf("%s is mounted, but it is no service", m.Path)
	}
	var problems []error
	methods := service.Methods()
	for i := range methods.Len() {
		method := methods.Get(i)
		if _, declared := policy.Rule(method); !declared {
			problems = append(problems,
				fmt.Errorf("%s declares no authorization: set the option (intime.auth.v1.authorization)", method.FullName()))
		}
		if !m.reachesGate(method) {
			problems = append(problems, fmt.Errorf("%s is not built with Chain.HandlerOptions", method.FullName()))
		}
	}
	return errors.Join(problems...)
}

type probeKey struct{}

var errProbed = errors.New("this was a probe")

// probed says whether the call is a probe, and lets the prober know that it arrived.
func probed(ctx context.Context) bool {
	arrived, ok := ctx.Value(probeKey{}).(*atomic.Bool)
	if ok {
		arrived.Store(true)
	}
	return ok
}

// reachesGate sends a request that cannot be decoded, so that no service can act on it, and sees whether it comes by the
// chain's gate.
func (m Mount) reachesGate(method protoreflect.MethodDescriptor) bool {
	var arrived atomic.Bool
	ctx := context.WithValue(context.Background(), probeKey{}, &arrived)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Path+string(method.Name()), strings.NewReader("no message"))
	if err != nil {
		return false
	}
	request.ProtoMajor, request.ProtoMinor = 2, 0 // or streams in both directions are turned away
	request.Header.Set("Content-Type", "application/json")
	if method.IsStreamingClient() || method.IsStreamingServer() {
		request.Header.Set("Content-Type", "application/connect+json")
	}
	m.Handler.ServeHTTP(nowhere{}, request)
	return arrived.Load()
}

// nowhere is a response that nobody gets.
type nowhere struct{}

func (nowhere) Header() http.Header            { return make(http.Header) }
func (nowhere) Write(data []byte) (int, error) { return len(data), nil }
func (nowhere) WriteHeader(int)                {}
func (nowhere) Flush()                         {}
