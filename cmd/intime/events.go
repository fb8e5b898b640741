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
	request := &eventv1.ListEventsRequest{Types: c.Type, PageSize: c.Limit}
	for _, status := range c.Status {
		request.Statuses = append(request.Statuses, enumtext.Value[eventv1.EventStatus](status))
	}
	response, err := c.events().ListEvents(ctx, request)
	if err != nil {
		return explain(err)
	}
	var rows [][]string
	for _, e := range response.GetEvents() {
		rows = append(rows, []string{
			e.GetId(), e.GetPublishedAt().AsTime().Format("2006-01-02 15:04:05"), e.GetType(), enumtext.Name(e.GetStatus()),
			firstLine(e.GetErrorMessage()),
		})
	}
	return c.print(response, []string{"ID", "PUBLISHED (UTC)", "TYPE", "STATUS", "ERROR"}, rows)
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
