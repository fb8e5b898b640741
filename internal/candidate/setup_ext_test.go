package candidate_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
	"github.com/intime-solutions/intime/internal/demo"
)

func TestMain(m *testing.M) { apptest.Main(m) }

func idOf(t *testing.T, person string) string {
	t.Helper()
	p, ok := demo.Find(person)
	require.True(t, ok)
	return p.ID().String()
}

// addPerson adds somebody to an organisation, by its slug, with what the SQL sets; it returns his id.
func addPerson(t *testing.T, admin *pgx.Conn, slug, email, set string) string {
	t.Helper()
	id := apptest.One[string](t, admin, `
		INSERT INTO user_profiles (org_id, email, full_name) SELECT id, $2, $2 FROM organizations WHERE slug = $1
		RETURNING id::text`, slug, email)
	if set != "" {
		require.Equal(t, int64(1), apptest.Exec(t, admin, `UPDATE user_profiles SET `+set+` WHERE id = $1`, id))
	}
	return id
}

// told are the addresses that an event's mail goes to.
func told(t *testing.T, admin *pgx.Conn, eventID string) []string {
	t.Helper()
	return apptest.All[string](t, admin, `
		SELECT recipient FROM outgoing_mails m JOIN event_deliveries d ON m.dedup_key LIKE d.id || '/%'
		WHERE d.event_id = $1 ORDER BY recipient COLLATE "C"`, eventID)
}
