package eventbus

import (
	"context"

	"connectrpc.com/connect"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
	"github.com/intime-solutions/intime/internal/platform/page"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// GetReplay returns a replay with its progress.
func (s *Service) GetReplay(ctx context.Context, r *eventv1.GetReplayRequest) (*eventv1.GetReplayResponse, error) {
	var found *eventv1.Replay
	err := s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		replay, err := findReplay(ctx, tx, r.GetId())
		if err != nil {
			return err
		}
		found = replay.proto()
		return replay.countOutcomes(ctx, tx, found)
	})
	if err != nil {
		return nil, err
	}
	return &eventv1.GetReplayResponse{Replay: found}, nil
}

// ListReplays returns the replays that were started, newest first.
func (s *Service) ListReplays(ctx context.Context, r *eventv1.ListReplaysRequest) (*eventv1.ListReplaysResponse, error) {
	var statuses []string
	for _, status := range r.GetStatuses() {
		statuses = append(statuses, enumtext.Name(status))
	}
	after, err := page.Decode(r.GetPageToken(), statuses)
	if err != nil {
		return nil, err
	}
	size := page.Size(r.GetPageSize())
	response := &eventv1.ListReplaysResponse{}
	err = s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := listReplays(ctx, tx, statuses, after.After, size+1)
		if err != nil {
			return err
		}
		if len(rows) > size {
			rows = rows[:size]
			if response.NextPageToken, err = (page.Token{After: rows[size-1].ID}).Encode(statuses); err != nil {
				return err
			}
		}
		for _, row := range rows {
			response.Replays = append(response.Replays, row.proto())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// PauseReplay has a running replay stop after its batch.
func (s *Service) PauseReplay(ctx context.Context, r *eventv1.PauseReplayRequest) (*eventv1.PauseReplayResponse, error) {
	replay, err := s.steer(ctx, r.GetId(), "paused")
	if err != nil {
		return nil, err
	}
	return &eventv1.PauseReplayResponse{Replay: replay}, nil
}

// ResumeReplay has a paused replay go on.
func (s *Service) ResumeReplay(ctx context.Context, r *eventv1.ResumeReplayRequest) (*eventv1.ResumeReplayResponse, error) {
	replay, err := s.steer(ctx, r.GetId(), "running")
	if err != nil {
		return nil, err
	}
	return &eventv1.ResumeReplayResponse{Replay: replay}, nil
}

// AbortReplay ends a replay for good.
func (s *Service) AbortReplay(ctx context.Context, r *eventv1.AbortReplayRequest) (*eventv1.AbortReplayResponse, error) {
	replay, err := s.steer(ctx, r.GetId(), "aborted")
	if err != nil {
		return nil, err
	}
	return &eventv1.AbortReplayResponse{Replay: replay}, nil
}

func (s *Service) steer(ctx context.Context, id, status string) (*eventv1.Replay, error) {
	var now *storedReplay
	err := s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		before, err := findReplay(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := mayReplay(ctx, before.Mode); err != nil {
			return err
		}
		var allowed *bool
		if err := tx.QueryRow(ctx, `SELECT app.steer_replay($1, $2)`, before.ID, status).Scan(&allowed); err != nil {
			return err
		}
		if now, err = findReplay(ctx, tx, id); err != nil {
			return err
		}
		if !value(allowed) {
			return apierr.New(connect.CodeFailedPrecondition, ReasonReplayState,
				"This replay is %s: it cannot be %s any more.", now.Status, status)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return now.proto(), nil
}
