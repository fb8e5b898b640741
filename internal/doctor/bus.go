package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	systemv1 "github.com/intime-solutions/intime/gen/go/intime/system/v1"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

// SystemOrganization is the organisation of the probes; nobody belongs to it. A migration makes it.
const SystemOrganization = "00000000-0000-7000-8000-000000000001"

// checkBus publishes a probe and waits until a worker, wherever it runs, has handled it.
func checkBus(ctx context.Context, d *doctor) (string, error) {
	org, err := uuid.Parse(SystemOrganization)
	if err != nil {
		return "", err
	}
	started := time.Now()
	var published eventbus.Publication
	err = d.worker.Tenant(principal.With(ctx, principal.System(org)), func(ctx context.Context, tx *postgres.Tx) (err error) {
		published, err = d.config.Bus.Publish(ctx, tx,
			&systemv1.SystemProbe{Action: systemv1.ProbeAction_PROBE_ACTION_OK, Note: "doctor"},
			eventbus.PublishOptions{Source: eventbus.SourceSystem})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("publish a probe: %w", err)
	}
	if err := d.config.Bus.Notify(ctx, d.worker); err != nil {
		return "", fmt.Errorf("wake the workers: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, d.config.ProbeTimeout)
	defer cancel()
	for {
		var status string
		if err := d.worker.LoginRow(ctx, `SELECT status FROM public.events WHERE org_id = $1 AND id = $2`,
			[]any{org, published.ID}, &status); err != nil {
			return "", fmt.Errorf("no worker handled the probe within %s", d.config.ProbeTimeout)
		}
		switch status {
		case "processed":
			return fmt.Sprintf("a probe was handled in %s", time.Since(started).Round(time.Millisecond)), nil
		case "dead_letter":
			return "", fmt.Errorf("the probe %s is a dead letter", published.ID)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}
