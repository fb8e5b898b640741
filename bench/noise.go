package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is what Linux counts CPU time in, on every architecture that Go runs on.
const ticksPerSecond = 100

// noise tells how much of the machine others took while something was measured. It knows Linux only.
type noise struct {
	postmaster       int
	began            time.Time
	total, ours, pgs float64
}

// cpu is CPU time by whom it was spent, in seconds, and the share of the machine that was neither.
type cpu struct {
	Bench    float64 `json:"bench_s"`
	Postgres float64 `json:"postgres_s"`
	Noise    float64 `json:"noise"` // 0..1
}

func (c *cluster) listen() noise {
	n := noise{postmaster: c.postmaster(), began: time.Now()}
	n.total, n.ours, n.pgs = busySeconds(), processSeconds(os.Getpid(), false), n.postgresSeconds()
	return n
}

func (n noise) stop() cpu {
	took := time.Since(n.began).Seconds()
	spent := cpu{
		Bench: round(processSeconds(os.Getpid(), false)-n.ours, 2), Postgres: round(n.postgresSeconds()-n.pgs, 2),
	}
	others := busySeconds() - n.total - spent.Bench - spent.Postgres
	spent.Noise = round(max(0, others)/took/float64(runtime.NumCPU()), 3)
	return spent
}

func (c *cluster) postmaster() int {
	text, err := os.ReadFile(filepath.Join(c.dir, "data", "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return pid
}

// postgresSeconds adds up the server and its children; those that ended are in the server's own account.
func (n noise) postgresSeconds() float64 {
	sum := processSeconds(n.postmaster, true)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", n.postmaster, n.postmaster))
	if err != nil {
		return sum
	}
	for child := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(child); err == nil {
			sum += processSeconds(pid, false)
		}
	}
	return sum
}

// busySeconds is the CPU time that all processes of the machine have spent.
func busySeconds() float64 {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	var sum float64
	for i, field := range strings.Fields(string(line))[1:] {
		const idle, ioWait, guest = 3, 4, 8 // guests are counted in user time already
		if ticks, err := strconv.ParseFloat(field, 64); err == nil && i != idle && i != ioWait && i < guest {
			sum += ticks / ticksPerSecond
		}
	}
	return sum
}

// processSeconds is the CPU time of a process and, when asked, of its children that ended.
func processSeconds(pid int, withChildren bool) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name, in brackets, may hold anything; behind it the fields count from 3.
	_, rest, _ := strings.Cut(string(text[max(bytes.LastIndexByte(text, ')'), 0):]), " ")
	fields := strings.Fields(rest)
	const user, children = 14 - 3, 16 - 3
	last := children
	if withChildren {
		last += 2
	}
	if len(fields) < last {
		return 0
	}
	var sum float64
	for _, field := range fields[user:last] {
		if ticks, err := strconv.ParseFloat(field, 64); err == nil {
			sum += ticks / ticksPerSecond
		}
	}
	return sum
}
