package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5"
)

// Filter collects the conditions of a list query. The clauses are constants of the program; what a caller sent goes into
// the arguments.
type Filter struct {
	clauses []string
	Args    pgx.NamedArgs
}

// NewFilter returns a filter with conditions that always hold.
func NewFilter(clauses ...string) *Filter { return &Filter{clauses: clauses, Args: pgx.NamedArgs{}} }

// And adds a condition on the argument @name.
func (f *Filter) And(clause, name string, value any) {
	f.clauses = append(f.clauses, clause)
	f.Args[name] = value
}

// SQL returns the conditions, joined.
func (f *Filter) SQL() string {
	if len(f.clauses) == 0 {
		return "true"
	}
	return strings.Join(f.clauses, " AND ")
}

// Contains returns the pattern that finds the text anywhere, in lower case, its wildcards taken literally.
func Contains(text string) string {
	escaped := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(strings.TrimSpace(text)))
	return "%" + escaped + "%"
}
