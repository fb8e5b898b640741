package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"text/tabwriter"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/intime-solutions/intime/internal/platform/csv"
)

// print writes a response as JSON, or its rows as a table or as CSV.
func (r remote) print(response proto.Message, header []string, rows [][]string) error {
	switch r.Output {
	case "json":
		text, err := protojson.MarshalOptions{Multiline: true}.Marshal(response)
		if err != nil {
			return err
		}
		sayf("%s", text)
		return nil
	case "csv":
		text := csvHeader(header)
		for _, row := range rows {
			text = appendCSV(text, row)
		}
		_, err := os.Stdout.Write(text)
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

var notInColumnName = regexp.MustCompile(`[^a-z0-9]+`)

// csvHeader names the columns as programs like them: "PUBLISHED (UTC)" is published_utc.
func csvHeader(titles []string) []byte {
	names := make([]string, len(titles))
	for i, title := range titles {
		names[i] = strings.Trim(notInColumnName.ReplaceAllString(strings.ToLower(title), "_"), "_")
	}
	return csv.AppendRow(nil, names...)
}

// appendCSV appends a row of a table, whose blanks indent it.
func appendCSV(to []byte, row []string) []byte {
	cells := make([]string, len(row))
	for i, cell := range row {
		cells[i] = strings.TrimSpace(cell)
	}
	return csv.AppendRow(to, cells...)
}
