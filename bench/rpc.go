package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	rpcJobs  = 100_000
	jobTitle = "Engineer number "
)

// seedJobs writes jobs whose ids count, job i in organisation i modulo ten, newest last. %d is how many.
const seedJobs = `
	SET session_replication_role = replica;
	INSERT INTO public.jobs (id, org_id, client_id, title, description, required_skills, experience_years_min,
		experience_years_max, salary_min, salary_max, salary_currency, location, status, created_by, created_at)
	SELECT ('00000000-0000-7000-9000-' || lpad(i::text, 12, '0'))::uuid,
		('00000000-0000-7000-8000-0000000001' || lpad((i %% 10)::text, 2, '0'))::uuid,
		('00000000-0000-7000-8000-0000000002' || lpad((i %% 10)::text, 2, '0'))::uuid,
		'Engineer number ' || i, 'Builds and looks after the systems of customer ' || i %% 997 || '.',
		ARRAY['Go', 'PostgreSQL', 'Skill ' || i %% 97], i %% 5, 5 + i %% 7, 50000, 90000, 'EUR', 'City ' || i %% 53,
		(ARRAY['open', 'open', 'closed', 'filled'])[i / 10 %% 4 + 1],
		('00000000-0000-7000-8000-0000000002' || lpad((i %% 10)::text, 2, '0'))::uuid,
		now() - (%[1]d - i) * interval '1 second'
	FROM generate_series(1, %[1]d) AS i;
	RESET session_replication_role`

func jobID(i int) string { return fmt.Sprintf("00000000-0000-7000-9000-%012d", i) }

// api is an HTTP server under test.
type api struct {
	address string // host:port
	calls   calls
	close   func() error
}

// calls are how a server is asked.
type calls struct {
	get    func(i int) request
	list   func() request
	create func(n int64) request
}

// request is an HTTP request without its token, and what its answer has to hold.
type request struct {
	method, path, body string
	holds              string // the answer holds this text
	counts             string // the answer holds this text 50 times
}

// openAPI starts a server on a database with jobs.
type openAPI func(ctx context.Context, d *database, secret string) (*api, error)

// measureRPC asks InTime's server and a bare one, each over plain sockets with one request at a time per connection. Both
// verify a token, read the session and run the same statements under the same row level security on the same data.
func measureRPC(ctx context.Context, b *bench) error {
	jobs, err := b.create(ctx, b.template.name)
	if err != nil {
		return err
	}
	if err := jobs.adminURL().exec(ctx, fmt.Sprintf(seedJobs, rpcJobs), "VACUUM (ANALYZE, FREEZE) public.jobs"); err != nil {
		return err
	}
	var all []result
	for _, server := range []struct {
		name string
		open openAPI
	}{{product, serveInTime}, {"bare", serveBare}} {
		d, err := b.create(ctx, jobs.name)
		if err != nil {
			return err
		}
		r := &result{Workload: "rpc", Peer: server.name, Values: map[string]float64{}}
		listening := b.listen()
		if err := b.tryAPI(ctx, d, server.open, r); err != nil {
			r.Error = err.Error()
		}
		r.CPU = listening.stop()
		if err := errors.Join(b.record(r), d.drop(ctx), ctx.Err()); err != nil {
			return err
		}
		all = append(all, *r)
	}
	for _, operation := range []struct{ name, title string }{
		{"get", "RPC: get a job by its id"},
		{"list", "RPC: list 50 open jobs, newest first"},
		{"create", "RPC: create a job and publish its event"},
	} {
		printRPC(operation.name, operation.title, all)
	}
	printFailures(os.Stdout, all)
	return jobs.drop(ctx)
}

func printRPC(name, title string, all []result) {
	t := table{title: fmt.Sprintf("%s; %d jobs, 10 organisations; ms and calls/s at 1 and 16 connections", title, rpcJobs)}
	for _, level := range []string{"1", "16"} {
		at := name + "_" + level + "_"
		t.columns = append(t.columns, column{at + "per_s", level + ": calls/s"}, column{at + "p50_ms", "p50"},
			column{at + "p95_ms", "p95"}, column{at + "p99_ms", "p99"})
		t.ratios = append(t.ratios, column{at + "per_s", level + " calls/s"}, column{at + "p50_ms", "p50"})
	}
	t.print(os.Stdout, all)
}

func (b *bench) tryAPI(ctx context.Context, d *database, open openAPI, r *result) (err error) {
	secret := newSecret()
	server, err := open(ctx, d, secret)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	load := &load{address: server.address, calls: server.calls, jobs: rpcJobs}
	for n := range organizations {
		load.tokens = append(load.tokens, signToken(secret, n, time.Hour))
	}
	r.Checks = append(r.Checks, load.refusals(ctx, secret)...)
	for _, operation := range []string{"get", "list", "create"} {
		for _, connections := range []int{1, 16} {
			if _, err := load.run(ctx, operation, connections, b.scaledTime(time.Second)); err != nil {
				return fmt.Errorf("%s: %w", operation, err)
			}
			took := b.scaledTime(5 * time.Second)
			latencies, err := load.run(ctx, operation, connections, took)
			if err != nil {
				return fmt.Errorf("%s: %w", operation, err)
			}
			at := fmt.Sprintf("%s_%d_", operation, connections)
			r.Values[at+"per_s"] = perSecond(len(latencies), took)
			r.add(at, summarize(latencies))
		}
	}
	created := int(load.created.Load())
	counts, err := verify(ctx, d, []check{
		count("jobs", rpcJobs+created, `SELECT count(*) FROM public.jobs`),
		count("events of new jobs", created, `SELECT count(*) FROM public.events e JOIN public.jobs j
			ON j.id = (e.payload ->> 'jobId')::uuid AND j.org_id = e.org_id WHERE e.type = 'job.created'`),
		count("audit rows of new jobs", created, `SELECT count(*) FROM public.audit_logs WHERE table_name = 'jobs'`),
	})
	r.Checks = append(r.Checks, counts...)
	return err
}
