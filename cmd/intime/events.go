package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
)

type eventsCmd struct {
	List    eventsListCmd    `cmd:"" help:"List events, newest first."`
	Show    eventsShowCmd    `cmd:"" help:"Show an event with its deliveries and their attempts."`
	Tail    eventsTailCmd    `cmd:"" help:"Print events as they are published and as their status changes."`
	Export  eventsExportCmd  `cmd:"" help:"Write events into a file: at most the 1,000 newest that match."`
	Publish eventsPublishCmd `cmd:"" help:"Publish an event."`
	Replay  eventsReplayCmd  `cmd:"" help:"Run what failed of events again: of these, or of those that match."`
}

type eventsListCmd struct {
	remote

	Type   []string `help:"Only events of these types."`
	Status []string `enum:"pending,processed,failed,dead_letter" help:"Only events that stand there: ${enum}."`
	Limit  int32    `default:"20" help:"How many at most, up to 100."`
}

// Run lists events.
func (c eventsListCmd) Run(ctx context.Context) error {
	response, err := c.events().ListEvents(ctx, &eventv1.ListEventsRequest{
		Types: c.Type, Statuses: statuses(c.Status), PageSize: c.Limit,
	})
	if err != nil {
		return explain(err)
	}
	var rows [][]string
	for _, e := range response.GetEvents() {
		rows = append(rows, eventRow(e))
	}
	return c.print(response, eventHeader(), rows)
}

func eventHeader() []string { return []string{"ID", "PUBLISHED (UTC)", "TYPE", "STATUS", "ERROR"} }

func eventRow(e *eventv1.Event) []string {
	return []string{
		e.GetId(), e.GetPublishedAt().AsTime().Format("2006-01-02 15:04:05"), e.GetType(), enumtext.Name(e.GetStatus()),
		firstLine(e.GetErrorMessage()),
	}
}

func statuses(names []string) []eventv1.EventStatus {
	var all []eventv1.EventStatus
	for _, name := range names {
		all = append(all, enumtext.Value[eventv1.EventStatus](name))
	}
	return all
}

type eventsShowCmd struct {
	remote

	ID string `arg:"" help:"The event's id."`
}

// Run shows an event.
func (c eventsShowCmd) Run(ctx context.Context) error {
	response, err := c.events().GetEvent(ctx, &eventv1.GetEventRequest{Id: c.ID})
	if err != nil {
		return explain(err)
	}
	e := response.GetEvent()
	if c.Output == "table" {
		payload, err := protojson.Marshal(e.GetPayload())
		if err != nil {
			return err
		}
		sayf("%s  %s  %s\n%s\n", e.GetType(), enumtext.Name(e.GetStatus()),
			e.GetPublishedAt().AsTime().Format("2006-01-02 15:04:05.000"), payload)
	}
	var rows [][]string
	for _, d := range e.GetDeliveries() {
		rows = append(rows, []string{
			d.GetHandlerName(), fmt.Sprintf("%d/%d", d.GetAttemptCount(), d.GetMaxAttempts()), enumtext.Name(d.GetStatus()),
			firstLine(d.GetReason()),
		})
		for _, a := range d.GetAttempts() {
			took := a.GetFinishedAt().AsTime().Sub(a.GetStartedAt().AsTime())
			rows = append(rows, []string{
				"  attempt", number(a.GetNumber()), enumtext.Name(a.GetOutcome()), took.String() + "  " + firstLine(a.GetErrorMessage()),
			})
		}
	}
	return c.print(response, []string{"HANDLER", "ATTEMPTS", "STATUS", "REASON"}, rows)
}

type eventsPublishCmd struct {
	remote

	Type    string `arg:"" help:"The type, for example job.created."`
	Payload string `arg:"" help:"The facts, as JSON."`
	Key     string `help:"An idempotency key: publishing again under it publishes once."`
}

// Run publishes an event.
func (c eventsPublishCmd) Run(ctx context.Context) error {
	payload := &structpb.Struct{}
	if !json.Valid([]byte(c.Payload)) || protojson.Unmarshal([]byte(c.Payload), payload) != nil {
		return errors.New("the payload is not a JSON object")
	}
	response, err := c.events().PublishEvent(ctx, &eventv1.PublishEventRequest{Type: c.Type, Payload: payload, IdempotencyKey: c.Key})
	if err != nil {
		return explain(err)
	}
	return c.print(response, []string{"ID", "PUBLISHED BEFORE"}, [][]string{
		{response.GetId(), strconv.FormatBool(response.GetDeduplicated())},
	})
}

func number[N int32 | int64](n N) string { return strconv.FormatInt(int64(n), 10) }

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
