package eventbus

// Warm are statements that do nothing but have the database plan what a delivery asks of it: the first time takes ten times
// as long as all others.
func Warm() []string {
	const nobody = `'{00000000-0000-0000-0000-000000000000}'::uuid[]`
	return []string{
		`SELECT count(*) FROM app.take_deliveries(` + nobody + `, ` + nobody + `, '')`,
		`SELECT app.finish_deliveries(` + nobody + `, ` + nobody + `, '', '{0 s}', '{0 s}', '', '', 0)`,
		`SELECT app.start_delivery((` + nobody + `)[1], (` + nobody + `)[1], '', gen_random_uuid(), '1 s', '', '', now(), '')`,
	}
}
