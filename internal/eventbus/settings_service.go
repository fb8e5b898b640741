package eventbus

import (
	"context"
	"encoding/json"
	"fmt"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// SettingsService implements intime.event.v1.EventSettingsService.
type SettingsService struct {
	db  *postgres.DB
	bus *Bus
}

// NewSettingsService returns the service.
func NewSettingsService(db *postgres.DB, bus *Bus) *SettingsService {
	return &SettingsService{db: db, bus: bus}
}

// settings are the part of an organisation's settings that is about events; what is missing has its default.
type settings struct {
	NotifyOperators   *bool            `json:"notify_operators,omitempty"`
	RetentionDays     *int32           `json:"retention_days,omitempty"`
	TypeRetentionDays map[string]int32 `json:"type_retention_days,omitempty"`
}

// GetEventSettings returns the settings.
func (s *SettingsService) GetEventSettings(
	ctx context.Context, _ *eventv1.GetEventSettingsRequest,
) (*eventv1.GetEventSettingsResponse, error) {
	var now settings
	err := s.db.TenantRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		now, err = readSettings(ctx, tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &eventv1.GetEventSettingsResponse{Settings: now.proto()}, nil
}

// UpdateEventSettings changes the settings that are sent.
func (s *SettingsService) UpdateEventSettings(
	ctx context.Context, r *eventv1.UpdateEventSettingsRequest,
) (*eventv1.UpdateEventSettingsResponse, error) {
	changes := map[string]any{}
	if r.NotifyOperators != nil {
		changes["notify_operators"] = r.GetNotifyOperators()
	}
	if r.RetentionDays != nil {
		changes["retention_days"] = r.GetRetentionDays()
	}
	if r.GetTypeRetention() != nil {
		for name := range r.GetTypeRetention().GetDays() {
			if _, known := s.bus.types.Lookup(name); !known {
				return nil, apierr.Invalid(apierr.Violation{
					Field: "type_retention.days", Rule: "type_retention.unknown", Message: "There is no event type " + name + ".",
				})
			}
		}
		days := r.GetTypeRetention().GetDays()
		if days == nil {
			days = map[string]int32{}
		}
		changes["type_retention_days"] = days
	}
	encoded, err := json.Marshal(changes)
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	var now settings
	err = s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		var stored []byte
		if err := tx.QueryRow(ctx, `SELECT app.update_event_settings($1)`, encoded).Scan(&stored); err != nil {
			return fmt.Errorf("update settings: %w", err)
		}
		return json.Unmarshal(stored, &now)
	})
	if err != nil {
		return nil, err
	}
	return &eventv1.UpdateEventSettingsResponse{Settings: now.proto()}, nil
}

func readSettings(ctx context.Context, tx *postgres.Tx) (settings, error) {
	var (
		stored []byte
		now    settings
	)
	// Row level security leaves the caller's own.
	if err := tx.QueryRow(ctx, `SELECT settings -> 'events' FROM public.organizations`).Scan(&stored); err != nil {
		return settings{}, fmt.Errorf("read settings: %w", err)
	}
	if len(stored) == 0 {
		return now, nil
	}
	if err := json.Unmarshal(stored, &now); err != nil {
		return settings{}, fmt.Errorf("read settings: %w", err)
	}
	return now, nil
}

// OperatorsWantMail says whether the admins of the transaction's organisation get mail about handlers and dead letters.
func OperatorsWantMail(ctx context.Context, tx *postgres.Tx) (bool, error) {
	now, err := readSettings(ctx, tx)
	return now.proto().GetNotifyOperators(), err
}

func (s settings) proto() *eventv1.EventSettings {
	p := &eventv1.EventSettings{NotifyOperators: true, RetentionDays: DefaultRetentionDays, TypeRetentionDays: s.TypeRetentionDays}
	if s.NotifyOperators != nil {
		p.NotifyOperators = *s.NotifyOperators
	}
	if s.RetentionDays != nil {
		p.RetentionDays = *s.RetentionDays
	}
	return p
}
