package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
)

type eventsExportCmd struct {
	endpoint

	Format  string    `default:"csv" enum:"csv,json,ndjson,cloudevents" help:"The format: ${enum}."`
	File    string    `short:"f" type:"path" help:"The file to write. Default: standard output." placeholder:"FILE"`
	Type    []string  `help:"Only events of these types."`
	Status  []string  `enum:"pending,processed,failed,dead_letter" help:"Only events that stand there: ${enum}."`
	Handler string    `help:"Only events with a delivery to this handler." placeholder:"NAME"`
	After   time.Time `help:"Only events published at this time or later, for example 2025-01-31T12:00:00Z." placeholder:"TIME"`
	Before  time.Time `help:"Only events published before this time." placeholder:"TIME"`
	ID      string    `help:"Only the event with this id, or the events with this correlation id."`
}

// Run writes the export. A file appears when it is whole.
func (c eventsExportCmd) Run(ctx context.Context) error {
	if c.File == "" {
		return c.export(ctx, os.Stdout)
	}
	file, err := os.CreateTemp(filepath.Dir(c.File), ".intime-export-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	err = errors.Join(c.export(ctx, file), file.Close())
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), c.File)
}

func (c eventsExportCmd) export(ctx context.Context, to io.Writer) error {
	stream, err := c.streams().ExportEvents(ctx, c.request())
	if err != nil {
		return explain(err)
	}
	defer func() { _ = stream.Close() }()
	var summary *eventv1.ExportSummary
	for stream.Receive() {
		switch m := stream.Msg().GetContent().(type) {
		case *eventv1.ExportEventsResponse_Chunk:
			if _, err := to.Write(m.Chunk); err != nil {
				return err
			}
		case *eventv1.ExportEventsResponse_Summary:
			summary = m.Summary
		}
	}
	if err := stream.Err(); err != nil {
		return explain(err)
	}
	if summary == nil {
		return errors.New("the export was cut off: it is not whole")
	}
	notice := fmt.Sprintf("%d events exported.", summary.GetRowCount())
	if summary.GetTruncated() {
		notice += " There are more that match: these are the newest."
	}
	// Standard output may be the file.
	_, err = fmt.Fprintln(os.Stderr, notice)
	return err
}

func (c eventsExportCmd) request() *eventv1.ExportEventsRequest {
	request := &eventv1.ExportEventsRequest{
		Format: enumtext.Value[eventv1.ExportFormat](c.Format), Types: c.Type, Statuses: statuses(c.Status),
		HandlerName: c.Handler, Id: c.ID,
	}
	if !c.After.IsZero() {
		request.PublishedAfter = timestamppb.New(c.After)
	}
	if !c.Before.IsZero() {
		request.PublishedBefore = timestamppb.New(c.Before)
	}
	return request
}
