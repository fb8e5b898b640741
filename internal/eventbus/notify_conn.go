package eventbus

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

type notifyConn = *pgx.Conn

// keepConnected runs use on a connection outside the pool, again and again until the context ends.
func keepConnected(ctx context.Context, db *postgres.DB, logger *slog.Logger, use func(context.Context, notifyConn) error) {
	for ctx.Err() == nil {
		err := withConn(ctx, db, use)
		if ctx.Err() != nil {
			return
		}
		logger.WarnContext(ctx, "notification connection lost", slog.Any("error", err))
		select {
		case <-ctx.Done():
		case <-time.After(reconnectInterval):
		}
	}
}

func withConn(ctx context.Context, db *postgres.DB, use func(context.Context, notifyConn) error) error {
	conn, err := db.Listen(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return use(ctx, conn)
}
