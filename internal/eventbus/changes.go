package eventbus

import (
	"context"
	"fmt"
	"slices"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/apierr"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

const (
	// changesPage is how many changes are read at once.
	changesPage = 200
	// maxPartBytes is how much is sent at once, by the size of the rows, unless a single event is larger.
	maxPartBytes = 512 << 10
)

// change is an event as it stands since the transaction that changed it last.
type change struct {
	place

	event *eventv1.Event
	size  int // about, in bytes
}

// reading is one page of changes.
type reading struct {
	changes []change
	until   snapshot // what they are visible in
	next    position
}

type changedEvent struct {
	storedEvent

	ChangedXid uint64
}

// readNow returns the present. It refuses those whose permission has gone.
func readNow(ctx context.Context, db *postgres.DB) (now snapshot, err error) {
	err = db.TenantSnapshot(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		now, err = present(ctx, tx)
		return err
	})
	return now, err
}

// present is what the transaction sees. Whoever may not read events finds none, and that must not pass for "nothing
// happened": it is an error.
func present(ctx context.Context, tx *postgres.Tx) (snapshot, error) {
	var (
		text            string
		taken           int64
		active, allowed bool
	)
	err := tx.QueryRow(ctx, `
		SELECT pg_current_snapshot()::text, extract(epoch FROM now())::bigint, app.org_id() IS NOT NULL, app.has_permission('event:read')`).
		Scan(&text, &taken, &active, &allowed)
	switch {
	case err != nil:
		return snapshot{}, fmt.Errorf("look at the present: %w", err)
	case !active:
		return snapshot{}, apierr.New(connect.CodeUnauthenticated, apierr.ReasonAccountInactive,
			"This account is not active. Ask an administrator of your organisation.")
	case !allowed:
		return snapshot{}, apierr.New(connect.CodePermissionDenied, apierr.ReasonPermissionDenied,
			"You may not do this: it needs the permission event:read.")
	}
	now, err := parseSnapshot(text)
	now.taken = taken
	return now, err
}

// readChanges returns the changes behind the position, in one order. Outside a stretch that is what the present sees and
// the position does not; a first page that is full begins a stretch, and the pages after it end where that began: what
// commits meanwhile is behind the stretch and not lost, whatever the order of the transactions' numbers.
func readChanges(ctx context.Context, db *postgres.DB, from position) (found reading, err error) {
	err = db.TenantSnapshot(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		now, err := present(ctx, tx)
		if err != nil {
			return err
		}
		found.until = from.until
		if from.whole() {
			found.until = now
		}
		rows, err := listChanges(ctx, tx, from, found.until)
		if err != nil {
			return err
		}
		found.next = position{seen: found.until}
		if len(rows) > changesPage {
			rows = rows[:changesPage]
			last := rows[changesPage-1]
			found.next = position{seen: from.seen, until: found.until, place: place{xid: last.ChangedXid, id: last.ID}}
		}
		return found.add(ctx, tx, rows)
	})
	if err != nil {
		return reading{}, err
	}
	return found, nil
}

// listChanges walks the index twice: over what was to come at the position, and over the few that were running then. Each
// walk has one lower bound: with two of them Postgres may begin at the lesser, which is that of all there ever was.
func listChanges(ctx context.Context, tx *postgres.Tx, from position, until snapshot) ([]*changedEvent, error) {
	running := slices.DeleteFunc(slices.Clone(from.seen.running), func(xid uint64) bool { return xid < from.place.xid })
	after := from.place
	if after.xid < from.seen.xmax {
		after = place{xid: from.seen.xmax - 1, id: uuid.Max}
	}
	rows, err := tx.Query(ctx, `
		SELECT `+eventColumns+`, e.changed_xid, p.full_name AS created_by_name
		FROM (
			(SELECT `+eventColumns+`, e.changed_xid FROM public.events e
			WHERE e.changed_xid = ANY (@running::xid8[]) AND (e.changed_xid <> @xid::xid8 OR e.id > @id::uuid)
			ORDER BY e.changed_xid, e.id LIMIT @limit)
			UNION ALL
			(SELECT `+eventColumns+`, e.changed_xid FROM public.events e
			WHERE (e.changed_xid, e.id) > (@after_xid::xid8, @after_id::uuid) AND e.changed_xid < @until::xid8
			ORDER BY e.changed_xid, e.id LIMIT @limit)
		) e
		LEFT JOIN public.user_profiles p ON p.id = e.created_by
		ORDER BY e.changed_xid, e.id LIMIT @limit`, pgx.NamedArgs{
		"running": running, "xid": from.place.xid, "id": from.place.id,
		"after_xid": after.xid, "after_id": after.id, "until": until.xmax, "limit": changesPage + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list changes: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[changedEvent])
	if err != nil {
		return nil, fmt.Errorf("list changes: %w", err)
	}
	return found, nil
}

// add takes the rows up, with their deliveries. In a later page of a stretch there may be some that it does not end with:
// they come again.
func (r *reading) add(ctx context.Context, tx *postgres.Tx, rows []*changedEvent) error {
	var ids []uuid.UUID
	at := map[uuid.UUID]*change{}
	r.changes = make([]change, 0, len(rows))
	for _, row := range rows {
		if !r.until.sees(row.ChangedXid) {
			continue
		}
		event, err := row.proto()
		if err != nil {
			return err
		}
		r.changes = append(r.changes, change{
			place: place{xid: row.ChangedXid, id: row.ID}, event: event, size: len(row.Payload) + len(row.Metadata) + rowOverhead,
		})
		ids, at[row.ID] = append(ids, row.ID), &r.changes[len(r.changes)-1]
	}
	deliveries, err := listDeliveries(ctx, tx, ids...)
	if err != nil {
		return err
	}
	for _, d := range deliveries {
		c := at[d.EventID]
		c.event.Deliveries = append(c.event.Deliveries, d.proto())
		c.size += rowOverhead
	}
	return nil
}

// part is what is sent at once of a page.
type part struct {
	changes []change
	after   position
	size    int
}

// parts divides the page, which was read from the position, into messages of a size to be sent; one at least, which may be
// empty.
func (r *reading) parts(from position) []part {
	parts := []part{{}}
	begin := 0
	for i, c := range r.changes {
		last := &parts[len(parts)-1]
		if i > begin && last.size+c.size > maxPartBytes {
			last.after = position{seen: from.seen, until: r.until, place: r.changes[i-1].place}
			parts, begin = append(parts, part{}), i
			last = &parts[len(parts)-1]
		}
		last.changes, last.size = r.changes[begin:i+1:i+1], last.size+c.size
	}
	parts[len(parts)-1].after = r.next
	return parts
}

// rowOverhead is what a row takes beside its JSON, about.
const rowOverhead = 300
