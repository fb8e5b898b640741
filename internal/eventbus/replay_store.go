package eventbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// The reasons for refusing to work on a replay.
const (
	ReasonReplayNotFound = "REPLAY_NOT_FOUND" // there is no such replay or preview
	ReasonReplayExpired  = "REPLAY_EXPIRED"   // the preview is too old to be started
	ReasonReplayState    = "REPLAY_STATE"     // the replay stands where that cannot be done
)

// frozenReplay is what freezing found, as app.freeze_replay answers it.
type frozenReplay struct {
	ReplayID      *uuid.UUID
	KnownCount    int32
	EventCount    int32
	DeliveryCount int32
	Summary       []byte
	ExpiresAt     *time.Time
}

func (c *replayChoice) freeze(ctx context.Context, tx *postgres.Tx) (frozenReplay, error) {
	rows, err := tx.Query(ctx, `
		SELECT f.replay_id, f.known_count, f.event_count, f.delivery_count, f.summary, clock_timestamp() + $5::interval AS expires_at
		FROM app.freeze_replay($1::uuid[], coalesce($2::text[], '{}'), $3, $4, $5) f`,
		c.ids, c.handlers, c.mode, c.asked, previewFor)
	if err != nil {
		return frozenReplay{}, fmt.Errorf("preview a replay: %w", err)
	}
	frozen, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[frozenReplay])
	if err != nil {
		return frozenReplay{}, fmt.Errorf("preview a replay: %w", err)
	}
	return frozen, nil
}

// tell puts what was found at each handler into the response.
func (f frozenReplay) tell(response *eventv1.PreviewReplayResponse) error {
	var summary struct {
		Handlers []struct {
			Handler    string `json:"handler_name"`
			Deliveries int32  `json:"delivery_count"`
			Succeeded  int32  `json:"succeeded_count"`
		} `json:"handlers"`
		Blocked []struct {
			Handler    string `json:"handler_name"`
			Reason     string `json:"reason"`
			Deliveries int32  `json:"delivery_count"`
		} `json:"blocked"`
		Sample []struct {
			Event   string `json:"event_id"`
			Type    string `json:"event_type"`
			Handler string `json:"handler_name"`
			Status  string `json:"status"`
		} `json:"sample"`
	}
	if err := json.Unmarshal(f.Summary, &summary); err != nil {
		return fmt.Errorf("read the summary of a replay: %w", err)
	}
	for _, h := range summary.Handlers {
		response.Handlers = append(response.Handlers, &eventv1.HandlerPreview{
			HandlerName: h.Handler, DeliveryCount: h.Deliveries, SucceededCount: h.Succeeded,
		})
	}
	for _, b := range summary.Blocked {
		response.Blocked = append(response.Blocked, &eventv1.BlockedDeliveries{
			HandlerName: b.Handler, Reason: b.Reason, DeliveryCount: b.Deliveries,
		})
	}
	for _, d := range summary.Sample {
		response.Sample = append(response.Sample, &eventv1.SampleDelivery{
			EventId: d.Event, EventType: d.Type, HandlerName: d.Handler, Status: enumtext.Value[eventv1.DeliveryStatus](d.Status),
		})
	}
	return nil
}

// startReplay answers "started", "known" for one that was started before, or "expired".
func startReplay(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (string, error) {
	var outcome *string
	if err := tx.QueryRow(ctx, `SELECT app.start_replay($1)`, id).Scan(&outcome); err != nil {
		return "", fmt.Errorf("start a replay: %w", err)
	}
	if outcome == nil {
		return "", apierr.NotFound(ReasonReplayNotFound, "replay")
	}
	return *outcome, nil
}

// storedReplay is a row of the table event_replays.
type storedReplay struct {
	ID                 uuid.UUID
	Mode               string
	Status             string
	Filter             []byte
	EventCount         int32
	DeliveryCount      int32
	NextBatch          int32
	ReplayedCount      int32
	ReplayedEventCount int32
	SkippedCount       int32
	CreatedBy          *uuid.UUID
	CreatedByName      *string
	CreatedAt          time.Time
	ExpiresAt          time.Time
	StartedBy          *uuid.UUID
	StartedByName      *string
	StartedAt          *time.Time
	FinishedAt         *time.Time
	ErrorMessage       *string
}

const selectReplays = `
	SELECT r.id, r.mode, r.status, r.filter, r.event_count, r.delivery_count, r.next_batch, r.replayed_count,
		r.replayed_event_count, r.skipped_count, r.created_by, c.full_name AS created_by_name, r.created_at, r.expires_at,
		r.started_by, s.full_name AS started_by_name, r.started_at, r.finished_at, r.error_message
	FROM public.event_replays r
	LEFT JOIN public.user_profiles c ON c.id = r.created_by
	LEFT JOIN public.user_profiles s ON s.id = r.started_by`

func findReplay(ctx context.Context, tx *postgres.Tx, id string) (*storedReplay, error) {
	rows, err := tx.Query(ctx, selectReplays+` WHERE r.id = $1`, id)
	if err != nil {
		return nil, fmt.Errorf("find a replay: %w", err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[storedReplay])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, apierr.NotFound(ReasonReplayNotFound, "replay")
	}
	if err != nil {
		return nil, fmt.Errorf("find a replay: %w", err)
	}
	return found, nil
}

func listReplays(ctx context.Context, tx *postgres.Tx, statuses []string, after uuid.UUID, limit int) ([]*storedReplay, error) {
	where := postgres.NewFilter()
	if len(statuses) > 0 {
		where.And("r.status = ANY (@statuses)", "statuses", statuses)
	} else {
		where.And("r.status <> @previewed", "previewed", "previewed")
	}
	if after != uuid.Nil {
		where.And("r.id < @after", "after", after)
	}
	where.Args["limit"] = limit
	rows, err := tx.Query(ctx, selectReplays+` WHERE `+where.SQL()+` ORDER BY r.id DESC LIMIT @limit`, where.Args)
	if err != nil {
		return nil, fmt.Errorf("list replays: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[storedReplay])
	if err != nil {
		return nil, fmt.Errorf("list replays: %w", err)
	}
	return found, nil
}

// countOutcomes counts how the deliveries stand now that were set back.
func (r *storedReplay) countOutcomes(ctx context.Context, tx *postgres.Tx, into *eventv1.Replay) error {
	err := tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE d.status = 'succeeded'), count(*) FILTER (WHERE d.status IN ('pending', 'running')),
			count(*) FILTER (WHERE d.status IN ('failed', 'dead_letter'))
		FROM public.event_replay_batches b
		CROSS JOIN LATERAL unnest(b.event_ids, b.handler_names) AS i (id, handler)
		JOIN public.event_deliveries d ON d.org_id = b.org_id AND d.event_id = i.id AND d.handler_name = i.handler
		WHERE b.replay_id = $1 AND b.number < $2`, r.ID, r.NextBatch).
		Scan(&into.SucceededCount, &into.UnfinishedCount, &into.FailedCount)
	if err != nil {
		return fmt.Errorf("count the outcomes of a replay: %w", err)
	}
	return nil
}

func (r *storedReplay) proto() *eventv1.Replay {
	p := &eventv1.Replay{
		Id: r.ID.String(), Mode: enumtext.Value[eventv1.ReplayMode](r.Mode), Status: enumtext.Value[eventv1.ReplayStatus](r.Status),
		EventCount: r.EventCount, DeliveryCount: r.DeliveryCount, ReplayedCount: r.ReplayedCount, SkippedCount: r.SkippedCount,
		RemainingCount: r.DeliveryCount - r.ReplayedCount - r.SkippedCount,
		CreatedBy:      text(r.CreatedBy), CreatedByName: value(r.CreatedByName), CreatedAt: timestamppb.New(r.CreatedAt),
		ExpiresAt: timestamppb.New(r.ExpiresAt), StartedBy: text(r.StartedBy), StartedByName: value(r.StartedByName),
		StartedAt: timestamp(r.StartedAt), FinishedAt: timestamp(r.FinishedAt), ErrorMessage: value(r.ErrorMessage),
	}
	var asked struct {
		IDs    []string        `json:"ids"`
		Filter json.RawMessage `json:"filter"`
	}
	if json.Unmarshal(r.Filter, &asked) != nil {
		return p
	}
	p.EventIds = asked.IDs
	filter := &eventv1.EventFilter{}
	// What a newer program added to filters is passed over.
	if len(asked.Filter) > 0 && (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(asked.Filter, filter) == nil {
		p.Filter = filter
	}
	return p
}
