package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
)

// waitInterval is how often --wait looks.
const waitInterval = 500 * time.Millisecond

type eventsReplayCmd struct {
	remote

	IDs     []string   `arg:"" optional:"" name:"id" help:"The events' ids, up to 100; without any, a filter chooses."`
	Type    []string   `help:"Only events of these types."`
	Status  []string   `enum:"pending,processed,failed,dead_letter" help:"Only events that stand there: ${enum}."`
	Handler string     `help:"Only events of this handler, and of them its delivery alone."`
	After   *time.Time `help:"Only events published at this time or later, for example 2026-01-31T00:00:00Z."`
	Before  *time.Time `help:"Only events published before this time."`
	Mode    string     `default:"failed" enum:"failed,missing,everything" help:"What runs again: ${enum}."`
	Preview bool       `help:"Only tell what would run."`
	Wait    bool       `help:"Wait until everything that was set back has ended."`
}

// Run replays events. Whether ids or a filter choose them, they are looked at first.
func (c eventsReplayCmd) Run(ctx context.Context) error {
	request, err := c.request()
	if err != nil {
		return err
	}
	found, err := c.events().PreviewReplay(ctx, request)
	if err != nil {
		return explain(err)
	}
	if c.Preview {
		return c.printPreview(found)
	}
	if found.GetTruncated() {
		return errors.New("more events match than one replay takes: narrow the filter, for example by --after")
	}
	if found.GetToken() == "" {
		return c.printReplay(&eventv1.ReplayEventsResponse{NotFoundCount: found.GetNotFoundCount()})
	}
	response, err := c.events().ReplayEvents(ctx, &eventv1.ReplayEventsRequest{Token: found.GetToken()})
	if err != nil {
		return explain(err)
	}
	response.NotFoundCount = found.GetNotFoundCount()
	if c.Wait {
		if response.Replay, err = c.await(ctx, found.GetToken()); err != nil {
			return explain(err)
		}
	}
	return c.printReplay(response)
}

func (c eventsReplayCmd) request() (*eventv1.PreviewReplayRequest, error) {
	filter := &eventv1.EventFilter{Types: c.Type, HandlerName: c.Handler}
	for _, status := range c.Status {
		filter.Statuses = append(filter.Statuses, enumtext.Value[eventv1.EventStatus](status))
	}
	if c.After != nil {
		filter.PublishedAfter = timestamppb.New(*c.After)
	}
	if c.Before != nil {
		filter.PublishedBefore = timestamppb.New(*c.Before)
	}
	request := &eventv1.PreviewReplayRequest{Ids: c.IDs, Mode: enumtext.Value[eventv1.ReplayMode](c.Mode)}
	filtered := len(c.Type)+len(c.Status) > 0 || c.Handler != "" || c.After != nil || c.Before != nil
	switch {
	case filtered && len(c.IDs) > 0:
		return nil, errors.New("choose the events either by their ids or by a filter")
	case filtered:
		request.Filter = filter
	case len(c.IDs) == 0:
		return nil, errors.New("say which events: name their ids, or filter by --type, --status, --handler, --after, --before")
	}
	return request, nil
}

// await waits until the replay has ended, and what it set back too.
func (c eventsReplayCmd) await(ctx context.Context, id string) (*eventv1.Replay, error) {
	tick := time.NewTicker(waitInterval)
	defer tick.Stop()
	for {
		response, err := c.events().GetReplay(ctx, &eventv1.GetReplayRequest{Id: id})
		if err != nil {
			return nil, err
		}
		replay := response.GetReplay()
		if replay.GetStatus() != eventv1.ReplayStatus_REPLAY_STATUS_RUNNING && replay.GetUnfinishedCount() == 0 {
			return replay, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

func (c eventsReplayCmd) printPreview(found *eventv1.PreviewReplayResponse) error {
	var rows [][]string
	for _, h := range found.GetHandlers() {
		rows = append(rows, []string{h.GetHandlerName(), number(h.GetDeliveryCount()), number(h.GetSucceededCount()), ""})
	}
	for _, b := range found.GetBlocked() {
		rows = append(rows, []string{b.GetHandlerName(), "", "", fmt.Sprintf("%d %s", b.GetDeliveryCount(), b.GetReason())})
	}
	if err := c.print(found, []string{"HANDLER", "WOULD RUN", "SUCCEEDED ALREADY", "BLOCKED"}, rows); err != nil {
		return err
	}
	if c.Output == "table" {
		sayf("%d deliveries of %d events would run; %d events were not found.",
			found.GetDeliveryCount(), found.GetEventCount(), found.GetNotFoundCount())
		if found.GetTruncated() {
			sayf("More events match: narrow the filter.")
		}
	}
	return nil
}

func (c eventsReplayCmd) printReplay(response *eventv1.ReplayEventsResponse) error {
	replay := response.GetReplay()
	header := []string{"REPLAY", "STATUS", "REPLAYED", "LEFT", "PASSED OVER", "NOT FOUND", "SUCCEEDED", "FAILED"}
	return c.print(response, header, [][]string{{
		replay.GetId(), enumtext.Name(replay.GetStatus()), number(replay.GetReplayedCount()), number(replay.GetRemainingCount()),
		number(replay.GetSkippedCount()), number(response.GetNotFoundCount()), number(replay.GetSucceededCount()),
		number(replay.GetFailedCount()),
	}})
}
