package eventbus

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestNormalize(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"event 01975f1e-7b1a-7c3d-8e4f-0123456789AB is gone": "event <id> is gone",
		"attempt 2 of 3, after 1.5 s, at 12:30:01":           "attempt <n> of <n>, after <n> s, at <n>",
		`no column "salary_2" in 'jobs', says “Ana's” «x»`:   "no column <text> in <text>, says <text> <text>",
		"it doesn't work, and won't":                         "it doesn't work, and won't",
		"commit 3f9a2b7c1d0e and 0xFF":                       "commit <hex> and <hex>",
		"dial tcp 10.0.0.7:5432: connection refused":         "dial tcp <n>: connection refused",
		"line one\n\tline two":                               "line one line two",
		"order 1234567890 is defaced and effaced":            "order <n> is defaced and effaced",
		"a decade of facades":                                "a decade of facades",
		"":                                                   "",
	} {
		require.Equal(t, want, normalize(message), "%s", message)
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	require.Equal(t, fingerprint(normalize("timeout after 3 s")), fingerprint(normalize("timeout after 17 s")))
	require.NotEqual(t, fingerprint(normalize("timeout after 3 s")), fingerprint(normalize("refused after 3 s")))
	require.Equal(t, "98c4b3a7e62056b8", fingerprint("timeout after <n> s"), "who keeps one finds it again")
}

func TestGroupErrors(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	one, two := uuid.New(), uuid.New()
	groups := groupErrors([]failedAttempt{
		{EventID: one, ErrorMessage: "no 1", FinishedAt: at},
		{EventID: one, ErrorMessage: "no 2", FinishedAt: at.Add(time.Minute)},
		{EventID: two, ErrorMessage: "other", FinishedAt: at.Add(time.Hour)},
		{EventID: two, ErrorMessage: "no 3", FinishedAt: at.Add(-time.Minute)},
	})
	require.Len(t, groups, 2)
	require.Equal(t, "other", groups[0].GetMessage(), "the newest error first")
	require.EqualValues(t, 3, groups[1].GetCount())
	require.Equal(t, at.Add(-time.Minute), groups[1].GetFirstSeenAt().AsTime())
	require.Equal(t, at.Add(time.Minute), groups[1].GetLastSeenAt().AsTime())
	require.Equal(t, []string{one.String(), two.String()}, groups[1].GetSampleEventIds())
}

func TestDurations_Percentile(t *testing.T) {
	t.Parallel()
	var none durations
	require.Zero(t, none.percentile(0.95))
	require.Zero(t, none.proto().GetCount())

	// A hundred of 1 to 100 ms, as the histogram has them.
	var d durations
	for ms := 1; ms <= 100; ms++ {
		slot := 0
		for slot < len(durationBounds) && float64(ms) >= durationBounds[slot] {
			slot++
		}
		d.slots[slot]++
		d.sumUS += int64(ms) * 1000
	}
	got := d.proto()
	require.EqualValues(t, 100, got.GetCount())
	require.InDelta(t, 50.5, got.GetAverageMs(), 0.001)
	require.InEpsilon(t, 50, got.GetP50Ms(), 0.2)
	require.InEpsilon(t, 95, got.GetP95Ms(), 0.2)
	require.InEpsilon(t, 99, got.GetP99Ms(), 0.2)

	var endless durations
	endless.add(1, append(make([]int32, len(durationBounds)), 3))
	require.InDelta(t, durationBounds[len(durationBounds)-1], endless.percentile(0.5), 0)
}
