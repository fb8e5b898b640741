package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// result is what one peer did in one workload: a line of the results file.
type result struct {
	Kind     string             `json:"kind"` // "result"
	Workload string             `json:"workload"`
	Peer     string             `json:"peer"`
	Values   map[string]float64 `json:"values"`
	CPU      cpu                `json:"cpu"`
	Checks   []check            `json:"checks"`
	Verified bool               `json:"verified"`
	Error    string             `json:"error,omitempty"`
}

func (r *result) add(prefix string, s summary) {
	for name, value := range map[string]float64{"p50_ms": s.P50, "p95_ms": s.P95, "p99_ms": s.P99, "max_ms": s.Max} {
		r.Values[prefix+name] = value
	}
}

// results is the file of a run.
type results struct {
	file *os.File
	path string
}

func createResults(folder string, quick bool) (*results, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // results are for everybody
		return nil, err
	}
	name := time.Now().UTC().Format("2006-01-02T15-04-05")
	if quick {
		name += "-quick"
	}
	path := filepath.Join(folder, name+".jsonl")
	file, err := os.Create(path)
	return &results{file: file, path: path}, err
}

func (r *results) write(line any) error {
	data, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = r.file.Write(append(data, '\n'))
	return err
}

// meta are the facts of the machine and of the server: the first line of the results file.
type meta struct {
	Kind     string            `json:"kind"` // "meta"
	At       time.Time         `json:"at"`
	Go       string            `json:"go"`
	OS       string            `json:"os"`
	CPUs     int               `json:"cpus"`
	CPUModel string            `json:"cpu_model"`
	Postgres string            `json:"postgres"`
	Settings map[string]string `json:"settings"`
	Modules  map[string]string `json:"modules"`
	Quick    bool              `json:"quick"`
}

func (c *cluster) meta(ctx context.Context, quick bool) (meta, error) {
	m := meta{
		Kind: "meta", At: time.Now().UTC(), Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(),
		CPUModel: cpuModel(), Postgres: c.server.Version(), Settings: map[string]string{}, Modules: map[string]string{}, Quick: quick,
	}
	for _, name := range []string{
		"fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_connections", "wal_sync_method", "jit",
	} {
		var value string
		if err := c.admin.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value); err != nil {
			return m, err
		}
		m.Settings[name] = value
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			switch dep.Path {
			case "github.com/riverqueue/river", "github.com/jackc/pgx/v5", "connectrpc.com/connect":
				m.Modules[dep.Path] = dep.Version
			}
		}
	}
	return m, nil
}

func (m meta) String() string {
	return fmt.Sprintf("%s · Postgres %s (fsync %s, synchronous_commit %s, shared_buffers %s) · %d × %s · River %s",
		m.Go, m.Postgres, m.Settings["fsync"], m.Settings["synchronous_commit"], m.Settings["shared_buffers"],
		m.CPUs, m.CPUModel, m.Modules["github.com/riverqueue/river"])
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func note(line string) { fmt.Fprintln(os.Stderr, "  "+line) }
