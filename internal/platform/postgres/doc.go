// Package postgres is the only way to the database. DB.Tenant runs a function in a transaction as the context's
// principal, under row level security; there is no other way to run a query on a tenant's tables. It knows nothing of
// features. Start at DB.
package postgres
