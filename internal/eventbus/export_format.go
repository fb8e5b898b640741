package eventbus

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/csv"
)

// exportFormat is how events are written into a file.
type exportFormat struct {
	contentType, extension string
	begin, between, end    string
	row                    func(to *bytes.Buffer, e *storedEvent) error
}

// exportFormats are the formats, for events of the organisation.
func exportFormats(org uuid.UUID) map[eventv1.ExportFormat]exportFormat {
	source := "urn:intime:organization:" + org.String()
	return map[eventv1.ExportFormat]exportFormat{
		eventv1.ExportFormat_EXPORT_FORMAT_JSON: {
			contentType: "application/json", extension: "json", begin: "[\n", between: ",\n", end: "\n]\n",
			row: func(to *bytes.Buffer, e *storedEvent) error { return writeJSON(to, e.exported()) },
		},
		eventv1.ExportFormat_EXPORT_FORMAT_NDJSON: {
			contentType: "application/x-ndjson", extension: "ndjson",
			row: func(to *bytes.Buffer, e *storedEvent) error { return encodeJSON(to, e.exported()) },
		},
		eventv1.ExportFormat_EXPORT_FORMAT_CSV: {
			contentType: "text/csv; charset=utf-8; header=present", extension: "csv",
			begin: string(csv.AppendRow(nil, exportColumns()...)),
			row: func(to *bytes.Buffer, e *storedEvent) error {
				to.Write(csv.AppendRow(to.AvailableBuffer(), e.cells()...))
				return nil
			},
		},
		eventv1.ExportFormat_EXPORT_FORMAT_CLOUDEVENTS: {
			contentType: "application/cloudevents-batch+json; charset=utf-8", extension: "cloudevents.json",
			begin: "[\n", between: ",\n", end: "\n]\n",
			row: func(to *bytes.Buffer, e *storedEvent) error { return writeJSON(to, e.cloudEvent(source)) },
		},
	}
}

// encodeJSON writes the value as a line. Payload and metadata are taken as the database has them: their numbers lose no
// digit.
func encodeJSON(to *bytes.Buffer, value any) error {
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// writeJSON is encodeJSON without the line's end.
func writeJSON(to *bytes.Buffer, value any) error {
	if err := encodeJSON(to, value); err != nil {
		return err
	}
	to.Truncate(to.Len() - len("\n"))
	return nil
}

// exportedEvent is an event in JSON; its keys are the table's columns.
type exportedEvent struct {
	ID            uuid.UUID       `json:"id"`
	Type          string          `json:"type"`
	Status        string          `json:"status"`
	PublishedAt   time.Time       `json:"published_at"`
	ProcessedAt   *time.Time      `json:"processed_at"`
	RetryCount    int32           `json:"retry_count"`
	ErrorMessage  *string         `json:"error_message"`
	CreatedBy     *uuid.UUID      `json:"created_by"`
	CreatedByName *string         `json:"created_by_name"`
	Source        string          `json:"source"`
	CorrelationID uuid.UUID       `json:"correlation_id"`
	CausationID   *uuid.UUID      `json:"causation_id"`
	Depth         int32           `json:"depth"`
	SchemaVersion int32           `json:"schema_version"`
	Payload       json.RawMessage `json:"payload"`
	Metadata      json.RawMessage `json:"metadata"`
}

func (e *storedEvent) exported() exportedEvent {
	return exportedEvent{
		ID: e.ID, Type: e.Type, Status: e.Status, PublishedAt: e.PublishedAt.UTC(), ProcessedAt: utc(e.ProcessedAt),
		RetryCount: e.RetryCount, ErrorMessage: e.ErrorMessage, CreatedBy: e.CreatedBy, CreatedByName: e.CreatedByName,
		Source: e.Source, CorrelationID: e.CorrelationID, CausationID: e.CausationID, Depth: e.Depth,
		SchemaVersion: e.SchemaVersion, Payload: e.Payload, Metadata: e.Metadata,
	}
}

// cloudEvent is an event by CloudEvents 1.0: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              uuid.UUID       `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Time            time.Time       `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	CorrelationID   uuid.UUID       `json:"correlationid"`
	CausationID     *uuid.UUID      `json:"causationid,omitempty"`
	SchemaVersion   int32           `json:"schemaversion"`
	Data            json.RawMessage `json:"data"`
}

func (e *storedEvent) cloudEvent(source string) cloudEvent {
	return cloudEvent{
		SpecVersion: "1.0", ID: e.ID, Source: source, Type: e.Type, Time: e.PublishedAt.UTC(), DataContentType: "application/json",
		CorrelationID: e.CorrelationID, CausationID: e.CausationID, SchemaVersion: e.SchemaVersion, Data: e.Payload,
	}
}

func exportColumns() []string {
	return []string{
		"id", "type", "status", "published_at", "processed_at", "retry_count", "error_message", "created_by", "created_by_name",
		"source", "correlation_id", "causation_id", "depth", "schema_version", "payload", "metadata",
	}
}

// cells are the event's, one for each column.
func (e *storedEvent) cells() []string {
	processed := ""
	if e.ProcessedAt != nil {
		processed = e.ProcessedAt.UTC().Format(time.RFC3339Nano)
	}
	return []string{
		e.ID.String(), e.Type, e.Status, e.PublishedAt.UTC().Format(time.RFC3339Nano), processed,
		strconv.Itoa(int(e.RetryCount)), value(e.ErrorMessage), text(e.CreatedBy), value(e.CreatedByName), e.Source,
		e.CorrelationID.String(), text(e.CausationID), strconv.Itoa(int(e.Depth)), strconv.Itoa(int(e.SchemaVersion)),
		string(e.Payload), string(e.Metadata),
	}
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
