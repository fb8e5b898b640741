// Package csv writes comma-separated values by RFC 4180, byte for byte as they are, but for one thing: a cell that a
// spreadsheet would take for a formula gets an apostrophe in front. Start at AppendRow.
package csv

import "strings"

// AppendRow appends a row with its line break.
func AppendRow(to []byte, cells ...string) []byte {
	for i, cell := range cells {
		if i > 0 {
			to = append(to, ',')
		}
		to = appendCell(to, Harmless(cell))
	}
	return append(to, '\r', '\n')
}

// Harmless returns the cell so that no spreadsheet runs it: with an apostrophe in front, where it begins with what begins a
// formula, or with what spreadsheets skip before one.
func Harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

func appendCell(to []byte, cell string) []byte {
	if !strings.ContainsAny(cell, "\",\r\n") {
		return append(to, cell...)
	}
	to = append(to, '"')
	to = append(to, strings.ReplaceAll(cell, `"`, `""`)...)
	return append(to, '"')
}
