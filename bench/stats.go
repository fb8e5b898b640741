package main

import (
	"math"
	"slices"
	"time"
)

// summary is a distribution of latencies, in milliseconds.
type summary struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50_ms"`
	P95 float64 `json:"p95_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

// summarize sorts the latencies in place. Percentiles are nearest rank: the smallest sample that so many do not exceed.
func summarize(latencies []time.Duration) summary {
	if len(latencies) == 0 {
		return summary{}
	}
	slices.Sort(latencies)
	at := func(percent float64) float64 {
		rank := int(math.Ceil(percent / 100 * float64(len(latencies))))
		return milliseconds(latencies[max(rank, 1)-1])
	}
	return summary{N: len(latencies), P50: at(50), P95: at(95), P99: at(99), Max: at(100)}
}

func milliseconds(d time.Duration) float64 { return round(float64(d)/float64(time.Millisecond), 3) }

func perSecond(n int, took time.Duration) float64 { return round(float64(n)/took.Seconds(), 1) }

func round(x float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Round(x*scale) / scale
}
