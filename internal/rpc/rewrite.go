package rpc

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"connectrpc.com/connect"

	"github.com/intime-solutions/intime/internal/platform/apierr"
)

const (
	maxHeldBytes   = 64 << 10
	envelopePrefix = 5 // bytes before each message of a stream: flags and length
)

// rewrite puts errors into shape that connect answers by itself, before our interceptors run or after: a request that
// cannot be decoded, is too large or compressed in an unknown way, an unknown content type or HTTP method, a response that
// cannot be encoded. It holds such an answer back, reads from it what went wrong, and writes it anew.
func (c *Chain) rewrite(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		held := &heldResponse{ResponseWriter: w, outcome: new(outcome), before: w.Header().Clone()}
		ctx := withOutcome(r.Context(), held.outcome)
		next.ServeHTTP(held, r.WithContext(ctx))
		if held.release() {
			return
		}
		public := held.failure()
		logFailure(ctx, c.config.Logger, public, public)
		held.forget()
		writeError(w, r, public)
	})
}

// heldResponse holds a response back until it is known that it need not be rewritten.
type heldResponse struct {
	http.ResponseWriter

	outcome *outcome
	before  http.Header // the headers before connect wrote any
	passing bool
	status  int
	body    bytes.Buffer
}

// WriteHeader takes the status.
func (h *heldResponse) WriteHeader(status int) {
	if h.passing {
		h.ResponseWriter.WriteHeader(status)
		return
	}
	if h.status == 0 {
		h.status = status
	}
	h.pass()
}

// Write takes a part of the body.
func (h *heldResponse) Write(data []byte) (int, error) {
	if h.passing || h.body.Len() == 0 && !h.webTrailers(data) && h.pass() {
		return h.ResponseWriter.Write(data)
	}
	if room := maxHeldBytes - h.body.Len(); room > 0 {
		h.body.Write(data[:min(room, len(data))])
	}
	return len(data), nil
}

// Flush sends what is written, if anything may be sent yet.
func (h *heldResponse) Flush() {
	if h.passing {
		_ = http.NewResponseController(h.ResponseWriter).Flush()
	}
}

// Unwrap lets http.ResponseController find the writer beneath.
func (h *heldResponse) Unwrap() http.ResponseWriter { return h.ResponseWriter }

func (h *heldResponse) pass() bool {
	if h.passing {
		return true
	}
	succeeded := h.outcome.answered.Load() && (h.status == 0 || h.status == http.StatusOK)
	if !succeeded && !h.outcome.settled.Load() {
		return false
	}
	h.passing = true
	if h.status != 0 {
		h.ResponseWriter.WriteHeader(h.status)
	}
	return true
}

// release lets the response go, once it is complete, unless it has to be rewritten. A gRPC answer without a body may still
// be a failure, which only its trailers tell.
func (h *heldResponse) release() bool {
	if h.passing {
		return true
	}
	if !h.outcome.settled.Load() {
		if code, _ := h.grpcStatus(); code != 0 || h.body.Len() > 0 {
			return false
		}
	}
	return h.pass()
}

// webTrailers says whether the body begins with gRPC-Web's trailers: an answer without a message is a failure.
func (h *heldResponse) webTrailers(data []byte) bool {
	return !h.outcome.settled.Load() && len(data) > 0 && data[0]&0x80 != 0 &&
		strings.HasPrefix(h.Header().Get("Content-Type"), "application/grpc-web")
}

func (h *heldResponse) forget() {
	header := h.Header()
	// What a client may use instead, beside status 405 and 415.
	allow, accept := header.Values("Allow"), header.Values("Accept-Post")
	clear(header)
	maps.Copy(header, h.before)
	if len(allow) > 0 {
		header["Allow"] = allow
	}
	if len(accept) > 0 {
		header["Accept-Post"] = accept
	}
}

// failure reads what went wrong from the answer that was held back.
func (h *heldResponse) failure() *apierr.Error {
	if h.outcome.answered.Load() {
		return internalError().Because(errEncode)
	}
	if code, message := h.grpcStatus(); code != 0 {
		return connectError(code, message)
	}
	if code, message, ok := h.connectStatus(); ok {
		return connectError(code, message)
	}
	switch h.status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusHTTPVersionNotSupported:
		return connectError(connect.CodeUnimplemented, "")
	case http.StatusUnsupportedMediaType:
		return apierr.New(connect.CodeInvalidArgument, apierr.ReasonMalformed,
			"The request's Content-Type is not one that this server reads.")
	default:
		return internalError()
	}
}

func (h *heldResponse) grpcStatus() (connect.Code, string) {
	for _, prefix := range []string{"", http.TrailerPrefix} {
		// Not Get: the prefix makes a key that has no canonical form.
		values, messages := h.Header()[prefix+"Grpc-Status"], h.Header()[prefix+"Grpc-Message"]
		if len(values) == 0 {
			continue
		}
		code, err := strconv.ParseUint(values[0], 10, 8)
		if err != nil {
			return connect.CodeInternal, ""
		}
		message, err := url.PathUnescape(strings.Join(messages, ""))
		if err != nil {
			message = ""
		}
		return connect.Code(code), message
	}
	return 0, ""
}

func (h *heldResponse) connectStatus() (connect.Code, string, bool) {
	type failure struct {
		Code    connect.Code `json:"code"`
		Message string       `json:"message"`
	}
	body := h.body.Bytes()
	if strings.HasPrefix(h.Header().Get("Content-Type"), "application/connect+") && len(body) > envelopePrefix {
		var end struct {
			Error failure `json:"error"`
		}
		err := json.Unmarshal(body[envelopePrefix:], &end)
		return end.Error.Code, end.Error.Message, err == nil && end.Error.Code != 0
	}
	var f failure
	err := json.Unmarshal(body, &f)
	return f.Code, f.Message, err == nil && f.Code != 0
}
