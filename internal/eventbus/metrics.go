package eventbus

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	// metricsKept is how long what the database said is told again without asking it.
	metricsKept = 15 * time.Second
	// metricsPatience is how long asking it may take.
	metricsPatience = 3 * time.Second
)

// Collector returns the bus's metrics: what this process did and, where it works, what the database knows. The database is
// asked at most every 15 seconds, however often and by however many the metrics are read. db is the worker's login; nil for a
// process that does not work.
func (b *Bus) Collector(db *postgres.DB) prometheus.Collector {
	return &collector{bus: b, db: db, now: time.Now}
}

type collector struct {
	bus *Bus
	db  *postgres.DB
	now func() time.Time

	// asking is held while the database is asked: whoever else reads meanwhile waits for the same answer.
	asking sync.Mutex
	asked  time.Time
	known  []prometheus.Metric
}

// Describe describes nothing: which metrics there are depends on what the database holds.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the metrics.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	c.bus.counters.attempts.Collect(out)
	c.bus.counters.duration.Collect(out)
	if c.db == nil {
		return
	}
	c.asking.Lock()
	defer c.asking.Unlock()
	if c.known == nil || c.now().Sub(c.asked) >= metricsKept {
		ctx, cancel := context.WithTimeout(context.Background(), metricsPatience)
		defer cancel()
		c.known, c.asked = c.ask(ctx), c.now()
	}
	for _, m := range c.known {
		out <- m
	}
}

// ask asks the database. What it does not answer is left out, and intime_metrics_up says so.
func (c *collector) ask(ctx context.Context) []prometheus.Metric {
	var all []prometheus.Metric
	books, err := readBooks(ctx, c.db)
	if err == nil {
		all = books.metrics()
	}
	jobs, jobsErr := c.bus.PeriodicJobs(ctx, c.db)
	for _, j := range jobs {
		if j.LastRunAt != nil {
			all = append(all, gauge("intime_periodic_job_last_success_timestamp_seconds",
				"When a periodic job last ended well, in seconds since 1970.", float64(j.LastRunAt.UnixMilli())/1000, "job", j.Name))
		}
	}
	up := 1.0
	if err := errors.Join(err, jobsErr); err != nil {
		c.bus.config.Logger.WarnContext(ctx, "metrics not read", slog.Any("error", err))
		up = 0
	}
	return append(all, gauge("intime_metrics_up", "1 when the database answered, 0 when it did not.", up))
}

// gauge is one value; the labels are a name and a value each.
func gauge(name, help string, v float64, labels ...string) prometheus.Metric {
	var names, values []string
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	return prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), prometheus.GaugeValue, v, values...)
}
