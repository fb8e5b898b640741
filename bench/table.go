package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// column is a value of a result and its heading.
type column struct{ value, heading string }

// table shows the results of one workload, each beside the product's.
type table struct {
	title   string
	columns []column
	ratios  []column // InTime's value through the peer's
}

const product = "intime"

func (t table) print(out io.Writer, results []result) {
	_, _ = fmt.Fprintf(out, "\n%s\n", t.title)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	cells := []string{"peer"}
	for _, c := range t.columns {
		cells = append(cells, c.heading)
	}
	for _, c := range t.ratios {
		cells = append(cells, "intime/peer "+c.heading)
	}
	_, _ = fmt.Fprintln(w, strings.Join(append(cells, "noise", ""), "\t"))
	var ours map[string]float64
	for _, r := range results {
		if r.Peer == product {
			ours = r.Values
		}
	}
	for _, r := range results {
		cells := []string{r.Peer}
		for _, c := range t.columns {
			cells = append(cells, number(r.Values, c.value))
		}
		for _, c := range t.ratios {
			cells = append(cells, ratio(ours[c.value], r.Values[c.value]))
		}
		mark := ""
		if !r.Verified {
			mark = "(!)"
		}
		_, _ = fmt.Fprintln(w, strings.Join(append(cells, fmt.Sprintf("%.0f%%", 100*r.CPU.Noise), mark), "\t"))
	}
	_ = w.Flush()
}

// printFailures says what did not add up.
func printFailures(out io.Writer, results []result) {
	for _, r := range results {
		if r.Error != "" {
			_, _ = fmt.Fprintf(out, "  (!) %s: %s\n", r.Peer, r.Error)
		}
		for _, c := range r.Checks {
			if !c.ok() {
				_, _ = fmt.Fprintf(out, "  (!) %s: %s: %d, should be %d\n", r.Peer, c.Name, c.Got, c.Want)
			}
		}
	}
}

func ratio(ours, theirs float64) string {
	if ours == 0 || theirs == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f×", ours/theirs)
}

func number(values map[string]float64, name string) string {
	x, ok := values[name]
	switch {
	case !ok:
		return ""
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.2f", x)
	}
}
