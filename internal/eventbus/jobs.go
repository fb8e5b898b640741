package eventbus

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// deliveryRef names a delivery of the job's handler.
type deliveryRef struct {
	OrgID   uuid.UUID `json:"org_id"`
	EventID uuid.UUID `json:"event_id"`
}

// deliveryArgs are a job's: the deliveries to attempt, as app.enqueue_deliveries() writes them. Their rows are the truth; a
// job too many does no harm.
type deliveryArgs struct {
	Handler    string        `json:"handler"`
	Deliveries []deliveryRef `json:"deliveries"`
}

// Kind is the job's name in River.
func (deliveryArgs) Kind() string { return "event_delivery" }

// split gives each of the deliveries a job of its own in place of the job.
func split(ctx context.Context, tx *postgres.Tx, job *river.Job[deliveryArgs], refs []deliveryRef) error {
	orgs, events := columns(refs)
	if _, err := tx.Exec(ctx, `SELECT app.split_job($1, $2, $3)`, job.ID, orgs, events); err != nil {
		return fmt.Errorf("split the job: %w", err)
	}
	return nil
}

// completeJob ends the job in the same transaction, as river.JobCompleteTx does, whose statement for any number of jobs took
// longer than all the rest. Where the job is not running any more, because River gave it to somebody else, the deliveries'
// own state is what counts, and whoever has the job will find them done.
func completeJob(ctx context.Context, tx *postgres.Tx, job *river.Job[deliveryArgs]) error {
	if job == nil { // see RunDue
		return nil
	}
	_, err := tx.Exec(ctx, `
		UPDATE river.river_job SET state = 'completed', finalized_at = now() WHERE id = $1 AND state = 'running'`, job.ID)
	if err != nil {
		return fmt.Errorf("complete the job: %w", err)
	}
	return nil
}

// queueOf is the River queue of an event type: each type has its own, so that one that hangs does not hold up others.
func queueOf(eventType string) string { return strings.ReplaceAll(eventType, ".", "-") }
