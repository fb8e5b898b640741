package eventbus

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

const (
	// previewFor is how long a preview's token is good.
	previewFor = 15 * time.Minute
	// maxReplayEvents is how many events one replay looks at: the newest that match.
	maxReplayEvents = 20_000
	// permissionReplayAll is what running again asks for that has succeeded.
	permissionReplayAll = "event:replay_all"
)

// PreviewReplay tells what a replay would run, and freezes it.
func (s *Service) PreviewReplay(ctx context.Context, r *eventv1.PreviewReplayRequest) (*eventv1.PreviewReplayResponse, error) {
	choice, err := choiceOf(ctx, r.GetIds(), r.GetFilter(), r.GetMode())
	if err != nil {
		return nil, err
	}
	response := &eventv1.PreviewReplayResponse{}
	err = s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if response.Truncated, err = choice.find(ctx, tx); err != nil {
			return err
		}
		frozen, err := choice.freeze(ctx, tx)
		if err != nil {
			return err
		}
		if frozen.ReplayID != nil {
			response.Token = frozen.ReplayID.String()
			response.ExpiresAt = timestamppb.New(*frozen.ExpiresAt)
		}
		response.EventCount, response.DeliveryCount = frozen.EventCount, frozen.DeliveryCount
		if r.GetFilter() == nil {
			response.NotFoundCount = choice.count() - frozen.KnownCount
		}
		return frozen.tell(response)
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// ReplayEvents runs deliveries again: of events by their ids, or what a preview froze.
func (s *Service) ReplayEvents(ctx context.Context, r *eventv1.ReplayEventsRequest) (*eventv1.ReplayEventsResponse, error) {
	if r.GetToken() != "" {
		return s.replayPreview(ctx, r.GetToken())
	}
	choice, err := choiceOf(ctx, r.GetIds(), nil, r.GetMode())
	if err != nil {
		return nil, err
	}
	response := &eventv1.ReplayEventsResponse{}
	err = s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		frozen, replay, err := s.replayNow(ctx, tx, choice)
		if err != nil {
			return err
		}
		response.NotFoundCount = choice.count() - frozen.KnownCount
		if replay != nil {
			response.ReplayedCount, response.Replay = replay.ReplayedEventCount, replay.proto()
		}
		response.SkippedCount = frozen.KnownCount - response.GetReplayedCount()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// replayNow freezes what was chosen and starts it. The replay is nil where there is nothing to run.
func (s *Service) replayNow(ctx context.Context, tx *postgres.Tx, choice *replayChoice) (frozenReplay, *storedReplay, error) {
	frozen, err := choice.freeze(ctx, tx)
	if err != nil || frozen.ReplayID == nil {
		return frozen, nil, err
	}
	if _, err := startReplay(ctx, tx, *frozen.ReplayID); err != nil {
		return frozen, nil, err
	}
	tx.AfterCommit(s.bus.wake.ring)
	replay, err := findReplay(ctx, tx, frozen.ReplayID.String())
	return frozen, replay, err
}

// replayPreview starts what a preview froze; for the second caller with the same token it is the same replay.
func (s *Service) replayPreview(ctx context.Context, token string) (*eventv1.ReplayEventsResponse, error) {
	response := &eventv1.ReplayEventsResponse{}
	err := s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		preview, err := findReplay(ctx, tx, token)
		if err != nil {
			return err
		}
		if err := mayReplay(ctx, preview.Mode); err != nil {
			return err
		}
		outcome, err := startReplay(ctx, tx, preview.ID)
		if err != nil {
			return err
		}
		if outcome == "expired" {
			return apierr.New(connect.CodeFailedPrecondition, ReasonReplayExpired,
				"This preview is older than %d minutes. Look at it again before you replay.", int(previewFor.Minutes()))
		}
		tx.AfterCommit(s.bus.wake.ring)
		replay, err := findReplay(ctx, tx, token)
		if err != nil {
			return err
		}
		response.ReplayedCount, response.Replay = replay.ReplayedEventCount, replay.proto()
		if replay.Status == "completed" {
			response.SkippedCount = replay.EventCount - replay.ReplayedEventCount
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// replayChoice is what a replay is asked for.
type replayChoice struct {
	mode     string
	by       filters // where a filter chose the events
	filtered bool
	asked    []byte // the choice itself, for whoever looks at the replay later
	ids      []string
	handlers []string // beside ids: the one handler of each event; empty for all handlers
}

func choiceOf(ctx context.Context, ids []string, filter *eventv1.EventFilter, mode eventv1.ReplayMode) (*replayChoice, error) {
	c := &replayChoice{mode: modeName(mode), ids: ids}
	if err := mayReplay(ctx, c.mode); err != nil {
		return nil, err
	}
	var err error
	if filter == nil {
		c.asked, err = json.Marshal(map[string]any{"ids": ids})
		return c, err
	}
	c.filtered = true
	c.by, err = filtersOf(&eventv1.ListEventsRequest{
		Types: filter.GetTypes(), Statuses: filter.GetStatuses(), HandlerName: filter.GetHandlerName(),
		PublishedAfter: filter.GetPublishedAfter(), PublishedBefore: filter.GetPublishedBefore(), Id: filter.GetId(),
	})
	if err != nil {
		return nil, err
	}
	if c.mode == "failed" && len(c.by.Statuses) == 0 {
		// Only these have deliveries that failed.
		c.by.Statuses = []string{"dead_letter", "failed"}
	}
	encoded, err := protojson.Marshal(filter)
	if err != nil {
		return nil, fmt.Errorf("encode the filter: %w", err)
	}
	c.asked, err = json.Marshal(map[string]any{"filter": json.RawMessage(encoded)})
	return c, err
}

func modeName(mode eventv1.ReplayMode) string {
	if mode == eventv1.ReplayMode_REPLAY_MODE_UNSPECIFIED {
		mode = eventv1.ReplayMode_REPLAY_MODE_FAILED
	}
	return enumtext.Name(mode)
}

// mayReplay refuses the mode that asks for a permission of its own. The database asks again.
func mayReplay(ctx context.Context, mode string) error {
	p, ok := principal.From(ctx)
	if !ok {
		return postgres.ErrNoTenant
	}
	if mode == "everything" && !p.CanAll(permissionReplayAll) {
		return apierr.New(connect.CodePermissionDenied, apierr.ReasonPermissionDenied,
			"You may not do this: replaying what succeeded needs the permission %s.", permissionReplayAll)
	}
	return nil
}

// find looks for the events where a filter chooses them, and says whether there are more.
func (c *replayChoice) find(ctx context.Context, tx *postgres.Tx) (truncated bool, err error) {
	if !c.filtered {
		return false, nil
	}
	found, err := listEventIDs(ctx, tx, c.by, maxReplayEvents+1)
	if err != nil {
		return false, err
	}
	truncated = len(found) > maxReplayEvents
	for _, id := range found[:min(len(found), maxReplayEvents)] {
		c.ids = append(c.ids, id.String())
		if c.by.Handler != "" {
			c.handlers = append(c.handlers, c.by.Handler)
		}
	}
	return truncated, nil
}

// count is how many different events were chosen.
func (c *replayChoice) count() int32 {
	different := map[uuid.UUID]bool{}
	for _, id := range c.ids {
		different[uuid.MustParse(id)] = true
	}
	return int32(len(different)) //nolint:gosec // at most maxReplayEvents
}
