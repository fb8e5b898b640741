package user

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	userv1 "github.com/intime-solutions/intime/gen/go/intime/user/v1"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/person"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// UpdateProfile changes the fields that are sent and leaves the others as they are. Whoever may change himself only finds
// nobody else.
func (s *Service) UpdateProfile(ctx context.Context, r *userv1.UpdateProfileRequest) (*userv1.UpdateProfileResponse, error) {
	if err := checkUpdate(r); err != nil {
		return nil, err
	}
	me, ok := principal.From(ctx)
	if !ok {
		return nil, postgres.ErrNoTenant
	}
	id := me.UserID
	if r.GetId() != "" {
		var err error
		if id, err = uuid.Parse(r.GetId()); err != nil {
			return nil, errNotFound
		}
	}
	if id != me.UserID && !me.CanAll("user:update") {
		return nil, errNotFound
	}
	var updated *profile
	err := s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		stored, err := lockProfile(ctx, tx, id)
		if err != nil {
			return err
		}
		if stored.Version != r.GetVersion() {
			return errStale
		}
		apply(r, stored)
		updated, err = updateProfile(ctx, tx, stored)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &userv1.UpdateProfileResponse{User: updated.user()}, nil
}

// CompleteOnboarding notes that the caller has completed his onboarding, and publishes user.onboarding_completed the first
// time. The row is locked, so that of two clicks the second finds it done.
func (s *Service) CompleteOnboarding(
	ctx context.Context, _ *userv1.CompleteOnboardingRequest,
) (*userv1.CompleteOnboardingResponse, error) {
	me, ok := principal.From(ctx)
	if !ok {
		return nil, postgres.ErrNoTenant
	}
	var stored *profile
	err := s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if stored, err = lockProfile(ctx, tx, me.UserID); err != nil || stored.OnboardingCompletedAt != nil {
			return err
		}
		if stored, err = completeOnboarding(ctx, tx, me.UserID); err != nil {
			return err
		}
		_, err = s.bus.Publish(ctx, tx, &userv1.UserOnboardingCompleted{UserId: me.UserID.String()}, eventbus.PublishOptions{})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &userv1.CompleteOnboardingResponse{User: stored.user()}, nil
}

// clearable is a field that may be empty: whether it was sent, and how to empty it.
type clearable struct {
	field userv1.UpdateProfileRequest_Clearable
	name  string
	sent  func(*userv1.UpdateProfileRequest) bool
	clear func(*profile)
}

func clearables() []clearable {
	return []clearable{
		{
			userv1.UpdateProfileRequest_CLEARABLE_AVATAR_URL, "avatar_url",
			func(r *userv1.UpdateProfileRequest) bool { return r.AvatarUrl != nil },
			func(p *profile) { p.AvatarURL = nil },
		},
		{
			userv1.UpdateProfileRequest_CLEARABLE_PHONE, "phone",
			func(r *userv1.UpdateProfileRequest) bool { return r.Phone != nil },
			func(p *profile) { p.Phone = nil },
		},
	}
}

// checkUpdate refuses an update that sends a field and clears it at once, and a blank name.
func checkUpdate(r *userv1.UpdateProfileRequest) error {
	for _, c := range clearables() {
		if slices.Contains(r.GetClear(), c.field) && c.sent(r) {
			return apierr.Invalid(apierr.Violation{
				Field: c.name, Rule: "user.clear_conflict",
				Message: fmt.Sprintf("The field %s is sent and cleared at once. Do one of the two.", c.name),
			})
		}
	}
	return person.CheckName(r.FullName)
}

// apply changes the stored profile as the request says.
func apply(r *userv1.UpdateProfileRequest, stored *profile) {
	if r.FullName != nil {
		stored.FullName = strings.TrimSpace(r.GetFullName())
	}
	if r.AvatarUrl != nil {
		stored.AvatarURL = r.AvatarUrl
	}
	if r.Phone != nil {
		stored.Phone = r.Phone
	}
	for _, c := range clearables() {
		if slices.Contains(r.GetClear(), c.field) {
			c.clear(stored)
		}
	}
}
