package rpc

import (
	"context"
	"errors"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/intime-solutions/intime/internal/platform/apierr"
)

// validation holds requests to the rules in their proto files.
func (c *Chain) validation() connect.Interceptor {
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
				if err := c.validate(request.Any()); err != nil {
					return nil, err
				}
				return next(ctx, request)
			}
		},
		stream: func(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
			return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
				return next(ctx, &validatedConn{StreamingHandlerConn: conn, validate: c.validate})
			}
		},
	}
}

func (c *Chain) validate(message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return nil
	}
	err := c.validator.Validate(m)
	if broken, ok := errors.AsType[*protovalidate.ValidationError](err); ok {
		return apierr.Invalid(violationsOf(broken, m.ProtoReflect().Descriptor())...)
	}
	return err
}

type validatedConn struct {
	connect.StreamingHandlerConn

	validate func(message any) error
}

func (c *validatedConn) Receive(message any) error {
	if err := c.StreamingHandlerConn.Receive(message); err != nil {
		return err
	}
	return c.validate(message)
}

// requestMessages returns the request messages of all services of ours.
func requestMessages() []protoreflect.MessageDescriptor {
	var messages []protoreflect.MessageDescriptor
	rangeMethods(func(method protoreflect.MethodDescriptor) { messages = append(messages, method.Input()) })
	return messages
}

func rangeMethods(visit func(protoreflect.MethodDescriptor)) {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if file.Package().Parent().Parent() != "intime" {
			return true
		}
		services := file.Services()
		for i := range services.Len() {
			methods := services.Get(i).Methods()
			for j := range methods.Len() {
				visit(methods.Get(j))
			}
		}
		return true
	})
}
