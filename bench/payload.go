package main

import (
	"strings"

	systemv1 "github.com/intime-solutions/intime/gen/go/intime/system/v1"
)

// payloadBytes is how large the payload of every peer is, as JSON.
const payloadBytes = 500

// probe is the event that InTime publishes: a handler that does nothing.
func probe(seq int64) *systemv1.SystemProbe {
	return &systemv1.SystemProbe{Action: systemv1.ProbeAction_PROBE_ACTION_OK, Seq: seq, Note: padding()}
}

// plainProbe is the same for the others, whose numbers are numbers and not texts.
type plainProbe struct {
	Action string `json:"action"`
	Seq    int64  `json:"seq"`
	Note   string `json:"note"`
}

func newPlainProbe(seq int64) plainProbe {
	return plainProbe{Action: "PROBE_ACTION_OK", Seq: seq, Note: padding()}
}

func padding() string {
	const around = `{"action":"PROBE_ACTION_OK","seq":"12345","note":""}`
	return strings.Repeat("lorem ipsum dolor sit amet, ", payloadBytes/28+1)[:payloadBytes-len(around)]
}
