// Package rpc is the server's edge: the order in which a call is received, authenticated, decoded, checked and answered,
// the one shape of every error, and the HTTP server around it. It knows no feature: the program hands it the features'
// handlers, each built with Chain.HandlerOptions. Start at NewChain and New.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"

	"github.com/intime-solutions/intime/internal/auth"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

const (
	// DefaultTimeout is how long a call may take.
	DefaultTimeout = 30 * time.Second
	// DefaultRecheck is how often the caller of a stream is checked again.
	DefaultRecheck = 15 * time.Second
	// DefaultMaxMessageBytes is how large a request may be once it is decompressed.
	DefaultMaxMessageBytes = 4 << 20
)

// ChainConfig says what every call goes through.
type ChainConfig struct {
	// Authenticate turns a bearer token into a principal; see auth.Authenticator.
	Authenticate func(ctx context.Context, token string) (principal.Principal, error)
	// Timeout is how long a call may take; a client may ask for less. Streams last as long as they like. Default: 30 s.
	Timeout time.Duration
	// Recheck is how often the caller of a stream is checked again: his token, his permission. Default: 15 s.
	Recheck time.Duration
	// MaxMessageBytes is how large a request may be once it is decompressed. Default: 4 MiB.
	MaxMessageBytes int
	// Trace sees every call before anything else does, for example otelconnect's. Default: none.
	Trace connect.Interceptor
	// Logger gets one line for each call that failed. Default: nobody.
	Logger *slog.Logger
}

// Chain is what every call goes through, in the same order for every service. It is safe for concurrent use.
type Chain struct {
	config    ChainConfig
	policy    auth.Policy
	validator protovalidate.Validator
	draining  context.Context //nolint:containedctx // The server's life, not a call's.
	drain     context.CancelFunc
}

// NewChain returns a chain. It compiles the rules of every request message, so that no call waits for that.
func NewChain(config ChainConfig) (*Chain, error) {
	if config.Authenticate == nil {
		return nil, errors.New("the chain needs a way to authenticate calls")
	}
	if config.Timeout == 0 {
		config.Timeout = DefaultTimeout
	}
	if config.Recheck == 0 {
		config.Recheck = DefaultRecheck
	}
	if config.MaxMessageBytes == 0 {
		config.MaxMessageBytes = DefaultMaxMessageBytes
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	validator, err := protovalidate.New(protovalidate.WithMessageDescriptors(requestMessages()...))
	if err != nil {
		return nil, fmt.Errorf("compile the rules of the requests: %w", err)
	}
	c := &Chain{config: config, validator: validator}
	c.draining, c.drain = context.WithCancel(context.Background())
	return c, nil
}

// HandlerOptions are the options that every service's handler is built with. New refuses a handler without them.
func (c *Chain) HandlerOptions() []connect.HandlerOption {
	return append(c.wireOptions(),
		// Before the request is decompressed and decoded: that is work to be had for nothing otherwise.
		connect.WithRequestGate(c.authenticate),
		connect.WithInterceptors(c.interceptors(
			c.deadlines(),
			c.recovery(),
			// Before the rules: who may not call learns nothing of what a call looks like.
			c.permissions(),
			c.rechecks(),
			c.validation(),
		)...),
	)
}

// openOptions are for the procedures that belong to no feature: health and reflection. They are open to everybody.
func (c *Chain) openOptions() []connect.HandlerOption {
	return append(c.wireOptions(),
		connect.WithInterceptors(c.interceptors(c.deadlines(), c.recovery())...),
	)
}

func (c *Chain) wireOptions() []connect.HandlerOption {
	return []connect.HandlerOption{
		connect.WithReadMaxBytes(c.config.MaxMessageBytes),
		connect.WithCodec(binaryCodec{}),
		connect.WithCodec(jsonCodec{name: "json"}),
		connect.WithCodec(jsonCodec{name: "json; charset=utf-8"}),
	}
}

func (c *Chain) interceptors(inner ...connect.Interceptor) []connect.Interceptor {
	outer := []connect.Interceptor{c.failures()}
	if c.config.Trace != nil {
		outer = []connect.Interceptor{c.config.Trace, c.failures()}
	}
	return append(outer, inner...)
}
