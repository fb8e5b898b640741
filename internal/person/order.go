package person

import (
	"strconv"

	"github.com/google/uuid"

	"github.com/intime-solutions/intime/internal/platform/page"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// Order is the order of a list of people. The zero Order is newest first.
type Order int

// The orders.
const (
	Newest     Order = iota
	Name             // by full name, in any case
	Experience       // most experience first; who has said nothing comes last
)

// Key returns the SQL for what the list is ordered by before the id, as text: the key of a page token.
func (o Order) Key() string {
	switch o {
	case Name:
		return "lower(full_name)"
	case Experience:
		return "coalesce(candidate_experience_years, -1)::text"
	default:
		return "''"
	}
}

// By returns the SQL behind ORDER BY. An index of user_profiles has each order.
func (o Order) By() string {
	switch o {
	case Name:
		return "lower(full_name), id"
	case Experience:
		return "coalesce(candidate_experience_years, -1) DESC, id DESC"
	default:
		return "id DESC"
	}
}

// After limits the list to what comes after the page that the token ends.
func (o Order) After(token page.Token, where *postgres.Filter) error {
	if token.After == uuid.Nil {
		return nil
	}
	where.Args["after"] = token.After
	switch o {
	case Name:
		where.And("(lower(full_name), id) > (@key, @after)", "key", token.Key)
	case Experience:
		years, err := strconv.ParseInt(token.Key, 10, 32)
		if err != nil {
			return page.ErrToken()
		}
		where.And("(coalesce(candidate_experience_years, -1), id) < (@key::integer, @after)", "key", years)
	default:
		where.And("id < @after", "after", token.After)
	}
	return nil
}
