package csv_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/csv"
)

func TestAppendRow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cells []string
		want  string
	}{
		"Plain":      {[]string{"a", "b"}, "a,b\r\n"},
		"Empty":      {[]string{"", ""}, ",\r\n"},
		"Comma":      {[]string{"a,b"}, "\"a,b\"\r\n"},
		"Quote":      {[]string{`say "a"`}, "\"say \"\"a\"\"\"\r\n"},
		"Lines":      {[]string{"a\nb\r\nc\rd"}, "\"a\nb\r\nc\rd\"\r\n"},
		"Blanks":     {[]string{" a "}, " a \r\n"},
		"Unicode":    {[]string{"Zoë, Ελλάδα"}, "\"Zoë, Ελλάδα\"\r\n"},
		"Formula":    {[]string{`=HYPERLINK("http://evil.example")`}, "\"'=HYPERLINK(\"\"http://evil.example\"\")\"\r\n"},
		"Plus":       {[]string{"+1"}, "'+1\r\n"},
		"Minus":      {[]string{"-1"}, "'-1\r\n"},
		"At":         {[]string{"@SUM(1)"}, "'@SUM(1)\r\n"},
		"Tab":        {[]string{"\t=1"}, "'\t=1\r\n"},
		"Return":     {[]string{"\r=1"}, "\"'\r=1\"\r\n"},
		"LineFeed":   {[]string{"\n=1"}, "\"'\n=1\"\r\n"},
		"Inside":     {[]string{"a=1", "b@c", "1-2"}, "a=1,b@c,1-2\r\n"},
		"Apostrophe": {[]string{"'=1"}, "'=1\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, string(csv.AppendRow(nil, c.cells...)))
		})
	}
}

// parse reads one row by the grammar of RFC 4180, strictly; false for anything else.
func parse(row string) (cells []string, ok bool) {
	for {
		var cell strings.Builder
		if strings.HasPrefix(row, `"`) {
			for row = row[1:]; ; {
				end := strings.IndexByte(row, '"')
				if end < 0 {
					return nil, false
				}
				cell.WriteString(row[:end])
				if row = row[end+1:]; !strings.HasPrefix(row, `"`) {
					break
				}
				cell.WriteByte('"')
				row = row[1:]
			}
		} else {
			end := strings.IndexAny(row, ",\r\n\"")
			if end < 0 || row[end] == '"' || row[end] == '\n' {
				return nil, false
			}
			cell.WriteString(row[:end])
			row = row[end:]
		}
		cells = append(cells, cell.String())
		switch {
		case row == "\r\n":
			return cells, true
		case strings.HasPrefix(row, ","):
			row = row[1:]
		default:
			return nil, false
		}
	}
}

// Whatever is in the cells: the row is read as that many, none of which begins a formula, and each of which says what it said.
func FuzzAppendRow(f *testing.F) {
	for _, cell := range []string{
		"", "a", `"`, `""`, ",", "\r\n", "\r", "\n", "=1+1", "+", "-1", "@x", "\t=", "\r=", "'=", "é", "\xff", "\x00",
	} {
		f.Add(cell, "b", cell)
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		want := []string{a, b, c}
		got, ok := parse(string(csv.AppendRow(nil, want...)))
		require.True(t, ok, "not RFC 4180")
		require.Len(t, got, len(want))
		for i, cell := range got {
			if cell != want[i] {
				require.Equal(t, "'"+want[i], cell)
			}
			require.False(t, cell != "" && strings.IndexByte("=+-@\t\r\n", cell[0]) >= 0, "%q begins a formula", cell)
		}
	})
}
