package main

import (
	"context"
	"fmt"
	"strings"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
)

type deadLettersCmd struct {
	List    deadLettersListCmd    `cmd:"" help:"List dead letters, those of the newest events first."`
	Retry   deadLettersRetryCmd   `cmd:"" help:"Run dead letters again."`
	Discard deadLettersDiscardCmd `cmd:"" help:"End dead letters for good."`
}

type deadLettersListCmd struct {
	remote

	Handler  string `help:"Only those of this handler."`
	Type     string `help:"Only those of events of this type."`
	Because  string `help:"Only those given up for this reason, for example attempts_exhausted."`
	Search   string `help:"Only those whose error contains this text."`
	Archived bool   `help:"Those given up more than 30 days ago instead."`
	Limit    int32  `default:"20" help:"How many at most, up to 100."`
}

// Run lists dead letters.
func (c deadLettersListCmd) Run(ctx context.Context) error {
	response, err := c.deadLetters().ListDeadLetters(ctx, &eventv1.ListDeadLettersRequest{
		PageSize: c.Limit, HandlerName: c.Handler, EventType: c.Type, Reason: c.Because, Search: c.Search, Archived: c.Archived,
	})
	if err != nil {
		return explain(err)
	}
	var rows [][]string
	for _, d := range response.GetDeadLetters() {
		rows = append(rows, []string{
			d.GetEventId() + "/" + d.GetHandlerName(), d.GetFinishedAt().AsTime().Format("2006-01-02 15:04:05"), d.GetEventType(),
			d.GetReason(), firstLine(d.GetErrorMessage()),
		})
	}
	return c.print(response, []string{"DEAD LETTER", "GIVEN UP (UTC)", "TYPE", "REASON", "ERROR"}, rows)
}

// deadLetterNames names dead letters as the list does.
type deadLetterNames struct {
	Names []string `arg:"" name:"event/handler" help:"The dead letters, up to 100, as the list names them."`
}

func (n deadLetterNames) keys() ([]*eventv1.DeliveryKey, error) {
	var all []*eventv1.DeliveryKey
	for _, name := range n.Names {
		event, handler, ok := strings.Cut(name, "/")
		if !ok {
			return nil, fmt.Errorf("%s names no dead letter: write the event's id, a slash and the handler's name", name)
		}
		all = append(all, &eventv1.DeliveryKey{EventId: event, HandlerName: handler})
	}
	return all, nil
}

type deadLettersRetryCmd struct {
	deadLetterNames
	remote
}

// Run retries dead letters.
func (c deadLettersRetryCmd) Run(ctx context.Context) error {
	keys, err := c.keys()
	if err != nil {
		return err
	}
	response, err := c.deadLetters().RetryDeadLetters(ctx, &eventv1.RetryDeadLettersRequest{DeadLetters: keys})
	if err != nil {
		return explain(err)
	}
	return c.print(response, []string{"RETRIED", "PASSED OVER", "NOT FOUND"}, [][]string{{
		number(response.GetRetriedCount()), number(response.GetSkippedCount()), number(response.GetNotFoundCount()),
	}})
}

type deadLettersDiscardCmd struct {
	deadLetterNames
	remote

	Reason string `required:"" help:"Why, in 10 to 500 characters."`
}

// Run discards dead letters.
func (c deadLettersDiscardCmd) Run(ctx context.Context) error {
	keys, err := c.keys()
	if err != nil {
		return err
	}
	response, err := c.deadLetters().DiscardDeadLetters(ctx, &eventv1.DiscardDeadLettersRequest{DeadLetters: keys, Reason: c.Reason})
	if err != nil {
		return explain(err)
	}
	return c.print(response, []string{"DISCARDED", "PASSED OVER", "NOT FOUND"}, [][]string{{
		number(response.GetDiscardedCount()), number(response.GetSkippedCount()), number(response.GetNotFoundCount()),
	}})
}
