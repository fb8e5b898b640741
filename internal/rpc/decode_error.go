package rpc

import (
	"encoding/json"
	"strings"

	"connectrpc.com/connect"

	"github.com/intime-solutions/intime/internal/platform/apierr"
)

// decodeMark stands before a decodeError's text, so that it is found again inside connect's.
const decodeMark = "intime-decode-error:"

// decodeError says what is wrong with a request that cannot be decoded. A unary request is decoded before the interceptors
// run, and connect answers with the error's text alone: so the text carries everything, and the answer is rewritten from it.
type decodeError struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Field   string `json:"field"` // the field to blame; empty where there is none
	Rule    string `json:"rule"`  // the rule that it breaks
}

func malformed(message string) *decodeError {
	return &decodeError{Reason: apierr.ReasonMalformed, Message: message}
}

func malformedField(field, rule, message string) *decodeError {
	return &decodeError{Reason: apierr.ReasonMalformed, Message: message, Field: field, Rule: rule}
}

func (e *decodeError) Error() string {
	data, err := json.Marshal(e)
	if err != nil {
		return e.Message
	}
	return decodeMark + string(data)
}

func (e *decodeError) public() *apierr.Error {
	public := apierr.New(connect.CodeInvalidArgument, e.Reason, "%s", e.Message)
	if e.Field != "" {
		public.Violations = []apierr.Violation{{Field: e.Field, Rule: e.Rule, Message: e.Message}}
	}
	return public
}

func parseDecodeError(text string) (*decodeError, bool) {
	_, data, found := strings.Cut(text, decodeMark)
	if !found {
		return nil, false
	}
	e := new(decodeError)
	return e, json.Unmarshal([]byte(data), e) == nil
}
