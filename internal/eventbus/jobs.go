package eventbus

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	// jobSize is how many deliveries one job holds at most. What is published at once is handled together, at a fraction of
	// what a job for each would cost; more would only make neighbours wait longer for each other.
	jobSize = 20
	// stormSize is from how many deliveries on an organisation has its jobs to itself, and behind those of the others.
	stormSize = 2 * jobSize

	priorityNormal = 1
	priorityStorm  = 3
)

// deliveryRef names a delivery of the job's handler.
type deliveryRef struct {
	OrgID   uuid.UUID `json:"org_id"`
	EventID uuid.UUID `json:"event_id"`
}

// deliveryArgs are a job's: the deliveries to attempt. Their rows are the truth; a job too many does no harm.
type deliveryArgs struct {
	Handler    string        `json:"handler"`
	Deliveries []deliveryRef `json:"deliveries"`
}

// Kind is the job's name in River.
func (deliveryArgs) Kind() string { return "event_delivery" }

// due are deliveries that need a job; the slices run in parallel.
type due struct {
	orgIDs, eventIDs []uuid.UUID
	handlers, types  []string
}

// jobs puts the deliveries of each handler into jobs, in order. Organisations that publish much, or whose handlers have all
// the places they get, have jobs of their own, so that nobody waits for them.
func (d due) jobs(busy func(eventType string, org uuid.UUID) bool) []river.InsertManyParams {
	type lot struct {
		handler, queue string
		org            uuid.UUID // nil for those of organisations that publish little
	}
	perOrg := map[lot]int{}
	for i, handler := range d.handlers {
		perOrg[lot{handler, "", d.orgIDs[i]}]++
	}
	lots := map[lot][]deliveryRef{}
	for i, handler := range d.handlers {
		l := lot{handler: handler, queue: queueOf(d.types[i])}
		if perOrg[lot{handler, "", d.orgIDs[i]}] >= stormSize || busy(d.types[i], d.orgIDs[i]) {
			l.org = d.orgIDs[i]
		}
		lots[l] = append(lots[l], deliveryRef{d.orgIDs[i], d.eventIDs[i]})
	}
	var params []river.InsertManyParams
	for l, refs := range lots {
		priority := priorityNormal
		if l.org != uuid.Nil {
			priority = priorityStorm
		}
		for chunk := range slices.Chunk(refs, jobSize) {
			params = append(params, river.InsertManyParams{
				Args:       deliveryArgs{Handler: l.handler, Deliveries: chunk},
				InsertOpts: &river.InsertOpts{Queue: l.queue, Priority: priority},
			})
		}
	}
	slices.SortStableFunc(params, func(a, b river.InsertManyParams) int { return cmp.Compare(first(a), first(b)) })
	return params
}

// first is the oldest event of a job.
func first(p river.InsertManyParams) string {
	args, _ := p.Args.(deliveryArgs)
	return args.Deliveries[0].EventID.String()
}

func insertJobs(ctx context.Context, tx *postgres.Tx, client *river.Client[pgx.Tx], params []river.InsertManyParams) error {
	if len(params) == 0 {
		return nil
	}
	if _, err := client.InsertManyFastTx(ctx, tx, params); err != nil {
		return fmt.Errorf("insert jobs: %w", err)
	}
	return nil
}

// split gives each of the deliveries a job of its own in place of the job.
func split(ctx context.Context, tx *postgres.Tx, job *river.Job[deliveryArgs], refs []deliveryRef) error {
	params := make([]river.InsertManyParams, len(refs))
	for i, ref := range refs {
		params[i] = river.InsertManyParams{
			Args:       deliveryArgs{Handler: job.Args.Handler, Deliveries: []deliveryRef{ref}},
			InsertOpts: &river.InsertOpts{Queue: job.Queue, Priority: job.Priority},
		}
	}
	if err := insertJobs(ctx, tx, river.ClientFromContext[pgx.Tx](ctx), params); err != nil {
		return err
	}
	return completeJob(ctx, tx, job)
}

// completeJob ends the job in the same transaction, as river.JobCompleteTx does, whose statement for any number of jobs took
// longer than all the rest. Where the job is not running any more, because River gave it to somebody else, the deliveries'
// own state is what counts, and whoever has the job will find them done.
func completeJob(ctx context.Context, tx *postgres.Tx, job *river.Job[deliveryArgs]) error {
	if job == nil { // see RunDue
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE river.river_job SET state = 'completed', finalized_at = now() WHERE id = $1 AND state = 'running'`, job.ID)
	if err != nil {
		return fmt.Errorf("complete the job: %w", err)
	}
	return nil
}

// queueOf is the River queue of an event type: each type has its own, so that one that hangs does not hold up others.
func queueOf(eventType string) string { return strings.ReplaceAll(eventType, ".", "-") }
