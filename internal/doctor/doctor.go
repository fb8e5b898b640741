// Package doctor checks an installation from the inside and says what to do about what is wrong. Start at Run.
package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// Config says what is to be checked.
type Config struct {
	APIURL, WorkerURL string
	Bus               *eventbus.Bus
	// ProbeTimeout is how long the probe event may take. Default: 10 s.
	ProbeTimeout time.Duration
}

// Finding is what one check found.
type Finding struct {
	Check  string // what was checked
	Detail string // what is so
	Advice string // what to do; empty where all is well
}

// OK says whether all is well.
func (f Finding) OK() bool { return f.Advice == "" }

// check looks at one thing. The advice goes with the error.
type check struct {
	name   string
	advice string
	look   func(ctx context.Context, d *doctor) (detail string, err error)
}

type doctor struct {
	config      Config
	api, worker *postgres.DB
}

// Run makes the checks in order and tells each finding. A check that the ones before it stand in the way of is left out.
// It returns whether all is well.
func Run(ctx context.Context, config Config, tell func(Finding)) bool {
	if config.ProbeTimeout == 0 {
		config.ProbeTimeout = 10 * time.Second
	}
	d := &doctor{config: config}
	defer d.close()
	for _, c := range checks() {
		detail, err := c.look(ctx, d)
		if err != nil {
			tell(Finding{Check: c.name, Detail: err.Error(), Advice: c.advice})
			return false
		}
		tell(Finding{Check: c.name, Detail: detail})
	}
	return true
}

func checks() []check {
	return []check{
		{
			"database, as the API", "Check INTIME_API_DATABASE_URL (or DATABASE_URL), that the server runs, and `intime migrate status`.",
			func(ctx context.Context, d *doctor) (detail string, err error) {
				d.api, detail, err = connect(ctx, d.config.APIURL)
				return detail, err
			},
		},
		{
			"database, as a worker", "Check INTIME_WORKER_DATABASE_URL (or DATABASE_URL), and `intime migrate status`.",
			func(ctx context.Context, d *doctor) (detail string, err error) {
				d.worker, detail, err = connect(ctx, d.config.WorkerURL)
				return detail, err
			},
		},
		{"schema", "Run `intime migrate up`, or the version of intime that made this schema.", checkSchema},
		{"logins", "Take the attributes and memberships back that a login should not have.", checkLogins},
		{"row level security", "Enable and force it on these tables: somebody changed the schema by hand.", checkRowSecurity},
		{"partitions", "Run the workers: they make partitions ahead. Rows in a default partition have to be moved.", checkPartitions},
		{"clocks", "Set the clocks of this machine and of the database server by NTP.", checkClocks},
		{"queue", "End the transactions that are open for long: dead rows pile up behind them.", checkQueue},
		{"bus", "Run `intime serve` or `intime work` on this database, and look at its log.", checkBus},
		{"periodic jobs", "Look for the job's name in the workers' log; start them again if there is nothing.", checkPeriodic},
	}
}

func connect(ctx context.Context, url string) (*postgres.DB, string, error) {
	db, err := postgres.Open(ctx, postgres.Config{URL: url, ApplicationName: "intime doctor", MaxConns: 2})
	if err != nil {
		return nil, "", err
	}
	var login, version string
	err = db.LoginRow(ctx, `SELECT session_user, current_setting('server_version')`, nil, &login, &version)
	return db, fmt.Sprintf("%s on Postgres %s", login, version), err
}

func (d *doctor) close() {
	for _, db := range []*postgres.DB{d.api, d.worker} {
		if db != nil {
			db.Close()
		}
	}
}
