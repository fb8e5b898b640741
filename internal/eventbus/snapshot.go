package eventbus

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// snapshot is which transactions had ended at a moment: Postgres' pg_snapshot.
type snapshot struct {
	xmin, xmax uint64
	running    []uint64 // those between the two that had not ended, sorted
	taken      int64    // when, in seconds since 1970, by the database's clock
}

const (
	maxXid     = 1 << 60 // far above any real one, and far from an overflow
	maxRunning = 2000
)

var errSnapshot = errors.New("this is no snapshot")

// parseSnapshot reads what Postgres writes, for example "10:20:10,14".
func parseSnapshot(text string) (snapshot, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return snapshot{}, fmt.Errorf("%w: %q", errSnapshot, text)
	}
	numbers := parts[:2]
	if parts[2] != "" {
		numbers = append(numbers, strings.Split(parts[2], ",")...)
	}
	parsed := make([]uint64, len(numbers))
	for i, number := range numbers {
		var err error
		if parsed[i], err = strconv.ParseUint(number, 10, 64); err != nil {
			return snapshot{}, fmt.Errorf("%w: %q", errSnapshot, text)
		}
	}
	return snapshot{xmin: parsed[0], xmax: parsed[1], running: parsed[2:]}, nil
}

// sees says whether what the transaction did is visible, if it committed.
func (s snapshot) sees(xid uint64) bool {
	if xid < s.xmin {
		return true
	}
	if xid >= s.xmax {
		return false
	}
	_, running := slices.BinarySearch(s.running, xid)
	return !running
}

// covers says whether s sees everything that o sees.
func (s snapshot) covers(o snapshot) bool {
	if s.xmax < o.xmax {
		return false
	}
	return !slices.ContainsFunc(s.running, o.sees)
}

// pack writes the snapshot as few small numbers.
func (s snapshot) pack() []uint64 {
	packed := []uint64{s.xmin, s.xmax - s.xmin}
	for _, xid := range s.running {
		packed = append(packed, xid-s.xmin)
	}
	return packed
}

// unpack reads what pack wrote, as far as it can be true.
func unpack(packed []uint64, taken int64) (snapshot, error) {
	if len(packed) < 2 || len(packed) > maxRunning || packed[0] > maxXid || packed[1] > maxXid {
		return snapshot{}, errSnapshot
	}
	s := snapshot{xmin: packed[0], xmax: packed[0] + packed[1], taken: taken}
	for i, offset := range packed[2:] {
		if offset >= packed[1] || i > 0 && offset <= packed[1+i] {
			return snapshot{}, errSnapshot
		}
		s.running = append(s.running, s.xmin+offset)
	}
	return s, nil
}
