package eventbus

import (
	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
)

// durationBounds are the upper bounds of a histogram's slots in milliseconds, as app.duration_bounds() has them. What is
// above the last is in one slot more.
//
//nolint:gochecknoglobals // a constant
var durationBounds = [...]float64{
	0.5, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000,
	7000, 10000, 15000, 20000, 30000, 45000, 60000, 120000, 300000, 600000, 1800000, 3600000, 21600000, 86400000,
}

// durations are durations summed up: how many were in each slot, and how long they were together.
type durations struct {
	sumUS int64
	slots [len(durationBounds) + 1]int64
}

// add adds a histogram as the database has it, which ends with its last slot that has any.
func (d *durations) add(sumUS int64, slots []int32) {
	d.sumUS += sumUS
	for i, n := range slots {
		d.slots[min(i, len(d.slots)-1)] += int64(n)
	}
}

func (d *durations) count() (n int64) {
	for _, slot := range d.slots {
		n += slot
	}
	return n
}

// percentile is the duration in milliseconds that the share of them, 0 to 1, does not exceed: within its slot they are
// taken to lie evenly. What is above the last bound counts as the last bound.
func (d *durations) percentile(share float64) float64 {
	all := d.count()
	if all == 0 {
		return 0
	}
	rank := share * float64(all)
	var below, lower float64
	for i, upper := range durationBounds {
		n := float64(d.slots[i])
		if n > 0 && below+n >= rank {
			return lower + (upper-lower)*(rank-below)/n
		}
		below += n
		lower = upper
	}
	return lower
}

func (d *durations) proto() *eventv1.DurationSummary {
	n := d.count()
	if n == 0 {
		return &eventv1.DurationSummary{}
	}
	return &eventv1.DurationSummary{
		Count: n, AverageMs: float64(d.sumUS) / 1000 / float64(n),
		P50Ms: d.percentile(0.5), P95Ms: d.percentile(0.95), P99Ms: d.percentile(0.99),
	}
}
