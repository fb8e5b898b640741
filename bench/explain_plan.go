package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// plan is one statement as auto_explain logs it.
//
//nolint:tagliatelle // Postgres names the fields
type plan struct {
	Query string   `json:"Query Text"`
	Root  planNode `json:"Plan"`
}

// planNode is a node of a plan. Rows are per loop.
//
//nolint:tagliatelle // Postgres names the fields
type planNode struct {
	Type       string     `json:"Node Type"`
	Relation   string     `json:"Relation Name"`
	Index      string     `json:"Index Name"`
	Rows       float64    `json:"Actual Rows"`
	Loops      float64    `json:"Actual Loops"`
	Filtered   float64    `json:"Rows Removed by Filter"`
	Rechecked  float64    `json:"Rows Removed by Index Recheck"`
	JoinFilter float64    `json:"Rows Removed by Join Filter"`
	TotalTime  float64    `json:"Actual Total Time"`
	Hit        int        `json:"Shared Hit Blocks"`
	Read       int        `json:"Shared Read Blocks"`
	Children   []planNode `json:"Plans"`
}

// logMark is where the server's log ends now.
func (c *cluster) logMark() (int64, error) {
	info, err := os.Stat(c.logPath())
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (c *cluster) logPath() string { return c.dir + "/postgres.log" }

// plansSince reads the plans that were logged behind the mark, of statements on the tables of lists.
func (c *cluster) plansSince(mark int64) ([]plan, error) {
	file, err := os.Open(c.logPath())
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, mark, 1<<30))
	if err != nil {
		return nil, err
	}
	var plans []plan
	for i, part := range strings.Split(string(text), "  plan:\n") {
		if i == 0 {
			continue
		}
		var p plan
		if err := json.NewDecoder(strings.NewReader(part)).Decode(&p); err != nil {
			return nil, fmt.Errorf("read a plan: %w", err)
		}
		for _, name := range []string{
			"public.events", "public.jobs", "public.event_deliveries", "public.event_attempts",
			"public.event_rollups", "public.event_subscriptions",
		} {
			if strings.Contains(p.Query, name) {
				plans = append(plans, p)
				break
			}
		}
	}
	return plans, nil
}

// table is what the statement mainly asks.
func (p plan) table() string {
	_, rest, _ := strings.Cut(p.Query, "FROM public.")
	if strings.Contains(p.Query, "public.events e") {
		return "events"
	}
	return strings.TrimRight(strings.Fields(rest + " ?")[0], ",)")
}

func (n planNode) buffers() int { return n.Hit + n.Read }

// scanned is how many rows the scans beneath touched, whether they kept them or not.
func (n planNode) scanned() float64 {
	var sum float64
	if n.Relation != "" {
		sum = (n.Rows + n.Filtered + n.Rechecked) * n.Loops
	}
	for _, child := range n.Children {
		sum += child.scanned()
	}
	return sum
}

// sequential are the tables that were read from end to end and hold something.
func (n planNode) sequential() []string {
	var names []string
	if n.Type == "Seq Scan" && n.Rows+n.Filtered > 0 && (strings.HasPrefix(n.Relation, "event") || n.Relation == "jobs") {
		names = append(names, n.Relation)
	}
	for _, child := range n.Children {
		names = append(names, child.sequential()...)
	}
	return names
}

// summary is the plan in a few words: its nodes without those that only pass rows on, equal scans of partitions counted.
func (n planNode) summary() string {
	counts := map[string]int{}
	var order []string
	var visit func(n planNode)
	visit = func(n planNode) {
		name := ""
		switch {
		case n.Loops == 0:
			return
		case n.Relation != "":
			name = n.Type + " " + unmonth(n.Relation)
			if n.Index != "" {
				name += "." + unmonth(n.Index)
			}
		case n.Type == "Sort", n.Type == "Incremental Sort", n.Type == "Merge Append", n.Type == "Append", strings.Contains(n.Type, "Join"),
			n.Type == "Nested Loop", n.Type == "Gather", n.Type == "Gather Merge", n.Type == "Memoize":
			name = n.Type
		}
		if name != "" {
			if counts[name] == 0 {
				order = append(order, name)
			}
			counts[name]++
		}
		for _, child := range n.Children {
			visit(child)
		}
	}
	visit(n)
	for i, name := range order {
		if counts[name] > 1 {
			order[i] = fmt.Sprintf("%s ×%d", name, counts[name])
		}
	}
	return strings.Join(order, ", ")
}

// unmonth takes the month out of a partition's name.
func unmonth(name string) string {
	for i := 0; i+8 <= len(name); i++ {
		if name[i] == '_' && i+8 <= len(name) && name[i+5] == '_' && strings.Trim(name[i+1:i+5], "0123456789") == "" &&
			strings.Trim(name[i+6:i+8], "0123456789") == "" {
			return name[:i] + name[i+8:]
		}
	}
	return strings.Replace(name, "_default", "", 1)
}
