package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// checkPeriodic makes sure that what the bus does by itself is done. It comes after the probe: some worker runs, then.
func checkPeriodic(ctx context.Context, d *doctor) (string, error) {
	jobs, err := d.config.Bus.PeriodicJobs(ctx, d.worker)
	if err != nil {
		return "", err
	}
	now := time.Now()
	var told []string
	for _, j := range jobs {
		why := ""
		if j.LastError != "" {
			why = ": " + j.LastError
		}
		switch {
		case j.LastRunAt == nil:
			return "", fmt.Errorf("%s should run every %s and has not within a day%s", j.Name, brief(j.Interval), why)
		case j.Overdue(now):
			return "", fmt.Errorf("%s should run every %s and ran last %s ago%s",
				j.Name, brief(j.Interval), brief(now.Sub(*j.LastRunAt)), why)
		}
		told = append(told, fmt.Sprintf("%s ran %s ago, next in %s", j.Name, brief(now.Sub(*j.LastRunAt)), brief(j.NextRunAt().Sub(now))))
	}
	return strings.Join(told, "; "), nil
}

// brief is a duration in whole seconds, or minutes where it is long.
func brief(d time.Duration) string {
	d = max(d, 0)
	if d < time.Hour {
		return d.Round(time.Second).String()
	}
	d = d.Round(time.Minute)
	if minutes := d % time.Hour / time.Minute; minutes > 0 {
		return fmt.Sprintf("%dh%dm", d/time.Hour, minutes)
	}
	return fmt.Sprintf("%dh", d/time.Hour)
}
