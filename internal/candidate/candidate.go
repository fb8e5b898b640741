// Package candidate serves an organisation's candidates: who they are, where they were placed, and how that goes. It makes
// candidates of graduates. Start at Service.
package candidate
