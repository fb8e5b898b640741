package postgres

import (
	"context"
	"fmt"
	"time"
)

// MaxClockSkew is how far this machine's clock may be from the database's. The job queue mixes the two: beyond this,
// jobs start late or not at all.
const MaxClockSkew = 2 * time.Second

// ClockSkew returns how far this machine's clock is ahead of the database's, give or take half a round trip.
func (db *DB) ClockSkew(ctx context.Context) (time.Duration, error) {
	var theirs time.Time
	before := time.Now()
	if err := db.LoginRow(ctx, `SELECT clock_timestamp()`, nil, &theirs); err != nil {
		return 0, fmt.Errorf("read the database's clock: %w", err)
	}
	ours := before.Add(time.Since(before) / 2)
	return ours.Sub(theirs), nil
}
