package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// quotedLines is how much of the log an error carries.
const quotedLines = 15

// logFile is the path of what the server prints. Each start begins a new one
// and keeps the one before.
type logFile string

func (l logFile) previous() string { return string(l) + ".1" }

func (l logFile) create() (*os.File, error) {
	if err := os.Rename(string(l), l.previous()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("keep the server's last log: %w", err)
	}
	file, err := os.OpenFile(string(l), os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create the server's log: %w", err)
	}
	return file, nil
}

func (l logFile) size() int64 {
	info, err := os.Stat(string(l))
	if err != nil {
		return 0
	}
	return info.Size()
}

// since is the end of what was logged from an offset on, at most 64 KiB.
func (l logFile) since(offset int64) string {
	file, err := os.Open(string(l))
	if err != nil {
		return ""
	}
	defer file.Close()
	const limit = 64 << 10
	text, err := io.ReadAll(io.NewSectionReader(file, max(offset, l.size()-limit), limit))
	if err != nil {
		return ""
	}
	return string(text)
}

// quote is the last lines from an offset on, to be put behind an error.
func (l logFile) quote(offset int64) string {
	text := strings.TrimSpace(l.since(offset))
	if text == "" {
		return "\n(the server's log is empty)"
	}
	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-quotedLines):]
	return "\nlast lines of the server's log " + string(l) + ":\n  " + strings.Join(lines, "\n  ")
}
