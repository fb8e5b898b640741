package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/intime-solutions/intime/migrations"
)

// ErrSchema is returned for a database whose schema is not the one this program was built for.
var ErrSchema = errors.New("the database's schema is not the one this version needs")

// CheckSchema returns an error that says what to do, where the database is not migrated to this program's version.
func (db *DB) CheckSchema(ctx context.Context) error {
	want, err := latestMigration()
	if err != nil {
		return err
	}
	var have *int64
	err = db.LoginRow(ctx, `SELECT max(version_id) FROM public.goose_db_version WHERE is_applied`, nil, &have)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && have == nil:
		have = new(int64)
	case err != nil:
		kind, _ := KindOf(err)
		if kind == KindUnavailable || kind == KindTimeout || kind == KindCanceled {
			return fmt.Errorf("read the schema's version: %w", err)
		}
		return fmt.Errorf("%w: it has not been migrated, or only in part. Run `intime migrate up`", ErrSchema)
	}
	switch {
	case *have < want:
		return fmt.Errorf("%w: it is at migration %d of %d. Run `intime migrate up`", ErrSchema, *have, want)
	case *have > want:
		return fmt.Errorf("%w: it is at migration %d, newer than this program's %d. Use a newer intime", ErrSchema, *have, want)
	}
	return nil
}

// latestMigration is the version of the newest SQL migration; those in code come before it.
func latestMigration() (int64, error) {
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil || len(names) == 0 {
		return 0, fmt.Errorf("read the migrations: %w", err)
	}
	number, _, _ := strings.Cut(names[len(names)-1], "_")
	version, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the migrations: %w", err)
	}
	return version, nil
}
