package eventbus_test

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	systemv1 "github.com/intime-solutions/intime/gen/go/intime/system/v1"
	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/eventbus/eventbustest"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// try returns a kit whose only handler is the test's, and an event that waits for it.
func try(t *testing.T, handle func(ctx context.Context, tx *postgres.Tx, d probed) error) (*eventbustest.Kit, uuid.UUID) {
	t.Helper()
	kit := eventbustest.New(t, apptest.Database(t), func(bus *eventbus.Bus) error {
		eventbus.Handle(bus, "tried", handle, eventbus.HandlerOptions{})
		return nil
	})
	admin := apptest.NewOrganization(t, kit.Admin, "admin").People["admin"]
	return kit, kit.Publish(t, admin, &systemv1.SystemProbed{})
}

// The database was lost in the middle of a handler, which takes every error for permanent: it is tried again, and the
// attempt does not count.
func TestFailure_DatabaseLost(t *testing.T) {
	t.Parallel()
	var admin *pgx.Conn
	lost := true
	kit, id := try(t, func(ctx context.Context, tx *postgres.Tx, _ probed) error {
		if !lost {
			return nil
		}
		lost = false
		if _, err := admin.Exec(ctx, `SELECT pg_terminate_backend($1)`, tx.Conn().PgConn().PID()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `SELECT 1`)
		return eventbus.Permanent(err)
	})
	admin = kit.Admin
	require.ErrorIs(t, kit.RunDue(t)[0].Err, postgres.ErrConnectionLost)
	d := kit.Delivery(t, id, "tried")
	require.Equal(t, "pending", d.Status)
	require.Zero(t, d.AttemptCount)
	kit.Advance(t, 2*time.Second)
	require.Equal(t, 1, kit.RunDue(t)[0].Attempt)
	require.Equal(t, "succeeded", kit.Delivery(t, id, "tried").Status)
}

// A partner that cannot be reached is not the database: the attempts count, and come to an end.
func TestFailure_PartnerUnreachable(t *testing.T) {
	t.Parallel()
	kit, id := try(t, func(context.Context, *postgres.Tx, probed) error {
		return fmt.Errorf("tell the partner: %w", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})
	})
	for attempt := range eventbus.DefaultMaxAttempts {
		require.Equal(t, attempt+1, kit.RunDue(t)[0].Attempt)
		kit.Advance(t, time.Minute)
	}
	require.Equal(t, "dead_letter", kit.Delivery(t, id, "tried").Status)
}
