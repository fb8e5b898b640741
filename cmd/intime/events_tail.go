package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
)

const (
	// tailPatience is how long the server may be silent before the connection counts as lost: it says something every 15 s.
	tailPatience = 45 * time.Second
	// tailLongestPause is how long to wait at most before the next try.
	tailLongestPause = 15 * time.Second
)

type eventsTailCmd struct {
	remote

	Type   []string `help:"Only events of these types."`
	Status []string `enum:"pending,processed,failed,dead_letter" help:"Only events that stand there: ${enum}."`
}

// Run prints events until it is interrupted. A connection that is lost is made again, and what happened meanwhile is printed
// first.
func (c eventsTailCmd) Run(ctx context.Context) error {
	request := &eventv1.WatchEventsRequest{Types: c.Type, Statuses: statuses(c.Status)}
	if err := c.begin(); err != nil {
		return err
	}
	pause := time.Second
	for {
		heard, err := c.follow(ctx, request)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // he who watched has seen enough
		case request.GetResumeToken() == "" || !isLost(err):
			return explain(err)
		case heard:
			pause = time.Second
		}
		fmt.Fprintf(os.Stderr, "intime: the connection was lost; going on in %s: %s\n", pause, explain(err))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, tailLongestPause)
	}
}

// follow prints what one connection brings, and keeps the place. It says whether anything was heard at all.
func (c eventsTailCmd) follow(ctx context.Context, request *eventv1.WatchEventsRequest) (heard bool, err error) {
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	silence := time.AfterFunc(tailPatience, hangUp)
	defer silence.Stop()
	stream, err := c.streams().WatchEvents(ctx, request)
	if err != nil {
		return false, err
	}
	defer func() { _ = stream.Close() }()
	for stream.Receive() {
		heard = true
		silence.Reset(tailPatience)
		if err := c.show(stream.Msg().GetEvents()); err != nil {
			return heard, err
		}
		request.ResumeToken = stream.Msg().GetResumeToken()
	}
	if err := stream.Err(); err != nil {
		return heard, err
	}
	return heard, connect.NewError(connect.CodeUnavailable, errors.New("the server ended the answer"))
}

// isLost says whether trying again may help: the server is gone or restarting, or something between here and there failed.
func isLost(err error) bool {
	failed, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return false
	}
	if detailOf(failed) == nil {
		return true
	}
	switch failed.Code() {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeAborted, connect.CodeResourceExhausted:
		return true
	default:
		return false
	}
}

// tailRow fits a terminal: what comes later cannot widen a column any more.
const tailRow = "%-36s  %-19s  %-28s  %-11s  %s\n"

func (c eventsTailCmd) begin() error {
	switch c.Output {
	case "json":
		return nil
	case "csv":
		_, err := os.Stdout.Write(csvHeader(eventHeader()))
		return err
	default:
		return tabular(eventHeader())
	}
}

// show prints events, each on a line.
func (c eventsTailCmd) show(events []*eventv1.Event) error {
	for _, e := range events {
		var err error
		switch c.Output {
		case "json":
			err = sayJSON(e)
		case "csv":
			_, err = os.Stdout.Write(appendCSV(nil, eventRow(e)))
		default:
			err = tabular(eventRow(e))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func tabular(row []string) error {
	_, err := fmt.Fprintf(os.Stdout, tailRow, row[0], row[1], row[2], row[3], row[4])
	return err
}

// sayJSON prints the event on one line. protojson puts blanks in at random, so that nobody relies on them.
func sayJSON(e *eventv1.Event) error {
	text, err := protojson.Marshal(e)
	if err != nil {
		return err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "%s\n", line.Bytes())
	return err
}
