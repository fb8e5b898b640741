package person

import (
	"time"

	"github.com/intime-solutions/intime/internal/platform/apierr"
)

// ParseDate reads a day; nil for none. The schema sees to the form, and not to whether a month has so many days.
func ParseDate(field, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // none is an answer
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return nil, apierr.Invalid(apierr.Violation{Field: field, Rule: "date", Message: "There is no such day."})
	}
	return &day, nil
}

// FormatDate writes a day; empty for none.
func FormatDate(day *time.Time) string {
	if day == nil {
		return ""
	}
	return day.Format(time.DateOnly)
}
