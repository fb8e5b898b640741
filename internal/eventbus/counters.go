package eventbus

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// counters count what this process did, for its metrics. They are in memory and begin at 0 with the process.
type counters struct {
	attempts *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newCounters() *counters {
	return &counters{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "intime_delivery_attempts_total", Help: "The attempts that this process ended, by handler and outcome.",
		}, []string{"handler", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "intime_delivery_attempt_seconds", Help: "How long the attempts of this process took, by handler.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30},
		}, []string{"handler"}),
	}
}

// ended notes an attempt that ended, as the column event_attempts.outcome has it.
func (c *counters) ended(handler, outcome string) { c.attempts.WithLabelValues(handler, outcome).Inc() }

// ran notes how long an attempt took.
func (c *counters) ran(handler string, took time.Duration) {
	c.duration.WithLabelValues(handler).Observe(took.Seconds())
}
