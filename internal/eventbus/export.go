package eventbus

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
	"github.com/intime-solutions/intime/internal/platform/postgres"
	"github.com/intime-solutions/intime/internal/platform/principal"
)

const (
	// maxExported is how many events one export has at most.
	maxExported = 1000
	// exportTimeout is how long a client may take for the file.
	exportTimeout = 5 * time.Minute
	// exportsAtOnce is how many files a process holds for one organisation at the same time: a file may have a thousand large
	// payloads.
	exportsAtOnce = 2
	chunkBytes    = 64 << 10
)

// exports are the places for exports, by organisation. The zero value is ready.
type exports struct{ places sync.Map }

// begin waits for a place. The caller gives it back by done.
func (e *exports) begin(ctx context.Context, org uuid.UUID) (done func(), err error) {
	made, _ := e.places.LoadOrStore(org, make(chan struct{}, exportsAtOnce))
	places := made.(chan struct{})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case places <- struct{}{}:
		return func() { <-places }, nil
	}
}

// ExportEvents sends events as a file. They are read, and the audit row is written, in one transaction that has ended before
// the first of them leaves: nothing leaves that the audit log does not know of, and no client, however slow, holds it open.
func (s *Service) ExportEvents(
	ctx context.Context, r *eventv1.ExportEventsRequest, stream *connect.ServerStream[eventv1.ExportEventsResponse],
) error {
	by, err := filtersOf(r)
	if err != nil {
		return err
	}
	p, _ := principal.From(ctx)
	ctx, cancel := context.WithTimeout(ctx, exportTimeout)
	defer cancel()
	done, err := s.exports.begin(ctx, p.OrgID)
	if err != nil {
		return err
	}
	defer done()
	rows, truncated, at, err := s.readExport(ctx, r.GetFormat(), by)
	if err != nil {
		return err
	}
	format := exportFormats(p.OrgID)[r.GetFormat()]
	err = stream.Send(&eventv1.ExportEventsResponse{Content: &eventv1.ExportEventsResponse_Header{Header: &eventv1.ExportHeader{
		ContentType: format.contentType, FileName: "events-" + at.UTC().Format("20060102T150405Z") + "." + format.extension,
	}}})
	if err != nil {
		return gone(err)
	}
	if err := sendFile(ctx, format, rows, stream.Send); err != nil {
		return err
	}
	err = stream.Send(&eventv1.ExportEventsResponse{Content: &eventv1.ExportEventsResponse_Summary{Summary: &eventv1.ExportSummary{
		RowCount: int32(len(rows)), Truncated: truncated, //nolint:gosec // at most maxExported
	}}})
	if err != nil {
		return gone(err)
	}
	return nil
}

// readExport reads the newest events that match, and notes the export.
func (s *Service) readExport(
	ctx context.Context, format eventv1.ExportFormat, by filters,
) (rows []*storedEvent, truncated bool, at time.Time, err error) {
	err = s.db.Tenant(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		var err error
		if rows, err = listEvents(ctx, tx, by, uuid.Nil, maxExported+1); err != nil {
			return err
		}
		if truncated = len(rows) > maxExported; truncated {
			rows = rows[:maxExported]
		}
		note, err := json.Marshal(map[string]any{
			"format": enumtext.Name(format), "filter": by.note(), "rows": len(rows), "truncated": truncated,
		})
		if err != nil {
			return fmt.Errorf("note the export: %w", err)
		}
		if err := tx.QueryRow(ctx, `SELECT app.record_export($1)`, note).Scan(&at); err != nil {
			return fmt.Errorf("note the export: %w", err)
		}
		return nil
	})
	return rows, truncated, at, err
}

// sendFile sends the rows in the format, in chunks.
func sendFile(
	ctx context.Context, format exportFormat, rows []*storedEvent, send func(*eventv1.ExportEventsResponse) error,
) error {
	var file bytes.Buffer
	flush := func(least int) error {
		if file.Len() < least || file.Len() == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		chunk := &eventv1.ExportEventsResponse_Chunk{Chunk: bytes.Clone(file.Bytes())}
		file.Reset()
		if err := send(&eventv1.ExportEventsResponse{Content: chunk}); err != nil {
			return gone(err)
		}
		return nil
	}
	file.WriteString(format.begin)
	for i, row := range rows {
		if i > 0 {
			file.WriteString(format.between)
		}
		if err := format.row(&file, row); err != nil {
			return fmt.Errorf("export event %s: %w", row.ID, err)
		}
		// Not kept until the last one is sent.
		rows[i] = nil
		if err := flush(chunkBytes); err != nil {
			return err
		}
	}
	file.WriteString(format.end)
	return flush(1)
}

// note returns the filters that were given, for the audit log.
func (f filters) note() map[string]any {
	given := map[string]any{}
	if len(f.Types) > 0 {
		given["types"] = f.Types
	}
	if len(f.Statuses) > 0 {
		given["statuses"] = f.Statuses
	}
	for name, text := range map[string]string{"handler_name": f.Handler, "id": f.ID} {
		if text != "" {
			given[name] = text
		}
	}
	for name, at := range map[string]*time.Time{"published_after": f.From, "published_before": f.To} {
		if at != nil {
			given[name] = at.UTC().Format(time.RFC3339Nano)
		}
	}
	return given
}
