package eventbus

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/telemetry"
)

const (
	riverSchema = "river"
	// fetchCooldown bounds how often a queue asks for jobs: small, for it is in the way of every event.
	fetchCooldown = time.Millisecond
	// fetchPollInterval covers notifications that River drops when two come within one cooldown.
	fetchPollInterval  = 100 * time.Millisecond
	maintenanceWorkers = 2
	// jobMaxAttempts is River's own limit, far above ours: the delivery decides when to stop.
	jobMaxAttempts = 1000
)

// Run dispatches events and runs their handlers, as the worker's login, until the context ends. Then it takes no new
// deliveries, gives the running ones Config.DrainTimeout, cancels what is left, and returns.
func (b *Bus) Run(ctx context.Context, db *postgres.DB) error {
	if err := b.Validate(); err != nil {
		return err
	}
	if err := b.Register(ctx, db); err != nil {
		return err
	}
	queue, err := db.QueuePool(ctx)
	if err != nil {
		return err
	}
	defer queue.Close()
	client, err := b.newClient(db, queue)
	if err != nil {
		return err
	}
	own, err := db.Dedicated(ctx)
	if err != nil {
		return err
	}
	defer own.Close()
	// River stops by itself when its context ends; ours has to outlive that, for the books of the last attempts.
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start the job queue: %w", err)
	}
	var group sync.WaitGroup
	d := &dispatcher{bus: b, db: own}
	group.Go(func() { d.run(ctx) })
	group.Go(func() { b.wake.listen(ctx, db, b.config.Logger, true) })
	group.Go(func() { announce(ctx, db, b.config.Logger, b.wake.touched, changeChannel, changePause) })
	group.Go(func() { b.stayPresent(ctx, db) })
	group.Go(func() { b.runReplays(ctx, db, client) })
	<-ctx.Done()
	group.Wait()
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.config.DrainTimeout+booksTimeout+5*time.Second)
	defer cancel()
	if err := client.Stop(stopCtx); err != nil {
		return fmt.Errorf("stop the job queue: %w", err)
	}
	return nil
}

// Announce passes publications of this process on to the workers of others, and hears what became of them, until the
// context ends. It is for a process that publishes and does not run the bus itself.
func (b *Bus) Announce(ctx context.Context, db *postgres.DB) {
	var group sync.WaitGroup
	group.Go(func() { announce(ctx, db, b.config.Logger, b.wake.rung, channel, 0) })
	group.Go(func() { b.wake.listen(ctx, db, b.config.Logger, false) })
	group.Wait()
}

// Register writes the event types and handlers of this program into the database's catalogues. Run does it too.
func (b *Bus) Register(ctx context.Context, db *postgres.DB) error {
	types, handlers, err := b.registry()
	if err != nil {
		return err
	}
	return db.Login(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT app.register_events($1, $2)`, types, handlers); err != nil {
			return fmt.Errorf("register event types and handlers: %w", err)
		}
		return nil
	})
}

func (b *Bus) registry() (types, handlers []byte, err error) {
	type typeRow struct {
		Name        string  `json:"name"`
		Version     int32   `json:"schema_version"`
		MessageName string  `json:"message_name"`
		Permission  *string `json:"publish_permission"`
	}
	type handlerRow struct {
		Name        string `json:"name"`
		EventType   string `json:"event_type"`
		Function    string `json:"function_name"`
		MaxAttempts int    `json:"max_attempts"`
	}
	typeRows, handlerRows := []typeRow{}, []handlerRow{}
	for _, t := range b.types.All() {
		row := typeRow{Name: t.Name, Version: t.Version, MessageName: t.MessageName()}
		if t.Permission != "" {
			row.Permission = &t.Permission
		}
		typeRows = append(typeRows, row)
	}
	for _, r := range b.registrations() {
		handlerRows = append(handlerRows, handlerRow{r.name, r.eventType.Name, r.function, r.maxAttempts})
	}
	if types, err = json.Marshal(typeRows); err != nil {
		return nil, nil, err
	}
	handlers, err = json.Marshal(handlerRows)
	return types, handlers, err
}

// Connections is how many database connections Run needs beside those of the queue and the dispatcher: one for each delivery
// that runs, and a few for the periodic jobs.
// It allows for three types whose handlers all run, or hang, at once: more would be open for nothing, and a few processes
// with more would be too many for one server.
func (b *Bus) Connections() int32 {
	const others, busyTypes = 2, 3
	n := b.config.Concurrency*min(len(b.queues()), busyTypes) + maintenanceWorkers + others
	return int32(n) //nolint:gosec // at most a few thousand
}

// queues are the River queues of the types that have handlers.
func (b *Bus) queues() map[string]bool {
	queues := map[string]bool{}
	for _, r := range b.handlers {
		queues[queueOf(r.eventType.Name)] = true
	}
	return queues
}

func (b *Bus) newClient(db *postgres.DB, queue *pgxpool.Pool) (*river.Client[pgx.Tx], error) {
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, &deliveryWorker{bus: b, db: db}); err != nil {
		return nil, err
	}
	if err := river.AddWorkerSafely(workers, &partitionWorker{bus: b, db: db}); err != nil {
		return nil, err
	}
	if err := river.AddWorkerSafely(workers, &sweepWorker{bus: b, db: db}); err != nil {
		return nil, err
	}
	if err := river.AddWorkerSafely(workers, &rollUpWorker{bus: b, db: db}); err != nil {
		return nil, err
	}
	if err := river.AddWorkerSafely(workers, &replayWorker{bus: b, db: db}); err != nil {
		return nil, err
	}
	if err := river.AddWorkerSafely(workers, &retentionWorker{bus: b, db: db}); err != nil {
		return nil, err
	}
	queues := map[string]river.QueueConfig{maintenanceQueue: {MaxWorkers: maintenanceWorkers, FetchPollInterval: time.Second}}
	for queue := range b.queues() {
		queues[queue] = river.QueueConfig{MaxWorkers: b.config.Concurrency}
	}
	client, err := river.NewClient(riverpgxv5.New(queue), &river.Config{
		ID:                   b.config.Worker,
		Logger:               telemetry.AtLeast(b.config.Logger, slog.LevelWarn),
		Schema:               riverSchema,
		Queues:               queues,
		Workers:              workers,
		PeriodicJobs:         periodicJobs(),
		FetchCooldown:        fetchCooldown,
		FetchPollInterval:    fetchPollInterval,
		FetchOnlyKnownKinds:  true,
		JobTimeout:           b.config.lease(),
		RescueStuckJobsAfter: b.config.rescueAfter(),
		MaxAttempts:          jobMaxAttempts,
		SoftStopTimeout:      b.config.DrainTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the job queue: %w", err)
	}
	return client, nil
}
