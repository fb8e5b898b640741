package rpc

import "connectrpc.com/connect"

// interceptor is a connect.Interceptor for servers, made of two functions; a nil one leaves its calls alone.
type interceptor struct {
	unary  func(next connect.UnaryFunc) connect.UnaryFunc
	stream func(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc
}

func (i interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	if i.unary == nil {
		return next
	}
	return i.unary(next)
}

func (i interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	if i.stream == nil {
		return next
	}
	return i.stream(next)
}

func (interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}
