package main

import (
	"context"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
)

type handlersCmd struct {
	List    handlersListCmd    `cmd:"" help:"List the event handlers and how they fare."`
	Disable handlersDisableCmd `cmd:"" help:"Have a handler skip what is published from now on."`
	Enable  handlersEnableCmd  `cmd:"" help:"Let a handler run again."`
}

type handlersListCmd struct{ remote }

// Run lists the handlers.
func (c handlersListCmd) Run(ctx context.Context) error {
	response, err := c.handlers().ListEventHandlers(ctx, &eventv1.ListEventHandlersRequest{})
	if err != nil {
		return explain(err)
	}
	var rows [][]string
	for _, h := range response.GetEventHandlers() {
		rows = append(rows, handlerRow(h))
	}
	return c.print(response, handlerHeader(), rows)
}

type handlersDisableCmd struct {
	remote

	Name   string `arg:"" help:"The handler's name."`
	Reason string `required:"" help:"Why, in 10 to 500 characters."`
}

// Run disables a handler.
func (c handlersDisableCmd) Run(ctx context.Context) error {
	response, err := c.handlers().DisableEventHandler(ctx, &eventv1.DisableEventHandlerRequest{Name: c.Name, Reason: c.Reason})
	if err != nil {
		return explain(err)
	}
	return c.print(response, handlerHeader(), [][]string{handlerRow(response.GetEventHandler())})
}

type handlersEnableCmd struct {
	remote

	Name       string `arg:"" help:"The handler's name."`
	RunSkipped bool   `help:"Run what it skipped meanwhile, too."`
}

// Run enables a handler.
func (c handlersEnableCmd) Run(ctx context.Context) error {
	response, err := c.handlers().EnableEventHandler(ctx, &eventv1.EnableEventHandlerRequest{Name: c.Name, RunSkipped: c.RunSkipped})
	if err != nil {
		return explain(err)
	}
	if err := c.print(response, handlerHeader(), [][]string{handlerRow(response.GetEventHandler())}); err != nil {
		return err
	}
	if c.RunSkipped && c.Output == "table" {
		sayf("%d skipped events run now.", response.GetCaughtUpCount())
	}
	return nil
}

func handlerHeader() []string {
	return []string{"HANDLER", "EVENT TYPE", "STATE", "FAILED", "IN A ROW", "WHY"}
}

func handlerRow(h *eventv1.EventHandler) []string {
	why := h.GetDisabledReason()
	if why == "" {
		why = firstLine(h.GetLastFailureMessage())
	}
	return []string{
		h.GetName(), h.GetEventType(), enumtext.Name(h.GetState()),
		number(h.GetFailureCount()), number(h.GetConsecutiveFailures()), why,
	}
}
