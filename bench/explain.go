package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	explainCalls    = 50
	explainPatience = 4 * time.Second // for the calls of one question
	// tooMany is how many rows a plan may read for each that it returns.
	tooMany = 10
)

// answer is what a question cost.
type answer struct {
	Kind     string      `json:"kind"` // "explain"
	Question string      `json:"question"`
	Rows     int         `json:"rows"`
	RPC      summary     `json:"rpc"`
	Plans    []statement `json:"plans"`
	Flags    []string    `json:"flags,omitempty"`
	question question
}

// statement is one statement of an answer.
type statement struct {
	Table   string  `json:"table"`
	Millis  float64 `json:"ms"`
	Rows    float64 `json:"rows"`
	Scanned float64 `json:"scanned"`
	Buffers int     `json:"buffers"`
	Nodes   string  `json:"nodes"`
}

// explain asks every list of the API, on a million rows, and shows what Postgres did. The statements are the program's own,
// as its own role with a person's claims: auto_explain logs them.
func explain(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench explain", flag.ContinueOnError)
	rows := flags.Int("rows", 1_000_000, "how many events and how many jobs")
	only := flags.String("only", "", "only questions whose name contains the text")
	out := flags.String("out", "bench/results", "the folder for results")
	hold := flags.Bool("hold", false, "keep the database in the end, until Ctrl-C, for trying things out")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c, err := startCluster(ctx, "explain", map[string]string{
		"fsync": "off", "synchronous_commit": "off", "max_wal_size": "8GB", "autovacuum": "off",
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop(ctx)) }()
	d, err := c.makeTemplate(ctx)
	if err != nil {
		return err
	}
	note(fmt.Sprintf("writing %d events with their deliveries and %d jobs …", *rows, *rows))
	began := time.Now()
	if err := seedMillion(ctx, d, *rows); err != nil {
		return err
	}
	note(fmt.Sprintf("took %.0f s", time.Since(began).Seconds()))
	results, err := createResults(*out, *rows < 1_000_000)
	if err != nil {
		return err
	}
	defer results.file.Close()
	facts, err := c.meta(ctx, *rows < 1_000_000)
	if err != nil {
		return err
	}
	fmt.Println(facts)
	answers, err := askAll(ctx, d, *only)
	if err != nil {
		return err
	}
	for _, line := range append([]any{facts}, anys(answers)...) {
		if err := results.write(line); err != nil {
			return err
		}
	}
	printAnswers(answers)
	fmt.Println("\n" + results.path)
	if *hold {
		fmt.Println("Until Ctrl-C: " + string(d.adminURL()))
		<-ctx.Done()
	}
	return nil
}

// askAll asks twice: first for the time, then for the plans, which cost time themselves.
func askAll(ctx context.Context, d *database, only string) ([]answer, error) {
	secret := newSecret()
	var answers []answer
	err := withAPI(ctx, d, secret, func(e everybody) error {
		newest, err := newestEvent(ctx, e.large)
		if err != nil {
			return err
		}
		pages, err := pageQuestions(ctx, e.large)
		if err != nil {
			return err
		}
		for _, q := range slices.Concat(eventQuestions(time.Now(), newest), jobQuestions(), pages, smallQuestions(),
			statisticsQuestions(time.Now(), newest)) {
			if !strings.Contains(q.name, only) {
				continue
			}
			a := answer{Kind: "explain", Question: q.name, question: q}
			if err := a.time(ctx, e); err != nil {
				return fmt.Errorf("%s: %w", q.name, err)
			}
			answers = append(answers, a)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// Sessions that begin from now on explain what they do.
	err = d.adminURL().exec(ctx, `
		ALTER ROLE intime_api SET session_preload_libraries = 'auto_explain';
		LOAD 'auto_explain';
		ALTER ROLE intime_api SET auto_explain.log_min_duration = 0;
		ALTER ROLE intime_api SET auto_explain.log_analyze = on;
		ALTER ROLE intime_api SET auto_explain.log_buffers = on;
		ALTER ROLE intime_api SET auto_explain.log_format = json`)
	if err != nil {
		return nil, err
	}
	return answers, withAPI(ctx, d, secret, func(e everybody) error {
		for i := range answers {
			if err := answers[i].explain(ctx, d.cluster, e); err != nil {
				return fmt.Errorf("%s: %w", answers[i].Question, err)
			}
		}
		return nil
	})
}

func withAPI(ctx context.Context, d *database, secret string, fn func(e everybody) error) error {
	program, stop, err := runAPI(ctx, d, secret)
	if err != nil {
		return err
	}
	return errors.Join(fn(everybody{
		large: newCallers(program.URL(), signToken(secret, 1, time.Hour)),
		small: newCallers(program.URL(), signToken(secret, smallTenant, time.Hour)),
	}), stop())
}

func (a *answer) time(ctx context.Context, e everybody) (err error) {
	var latencies []time.Duration
	ending := time.Now().Add(explainPatience)
	for i := 0; i < explainCalls && (i < 5 || time.Now().Before(ending)); i++ {
		began := time.Now()
		if a.Rows, err = a.question.put(ctx, e); err != nil {
			return err
		}
		latencies = append(latencies, time.Since(began))
	}
	a.RPC = summarize(latencies)
	return nil
}

// explain asks as often as it takes for Postgres to settle on a plan for a prepared statement, and keeps the last plans.
func (a *answer) explain(ctx context.Context, cluster *cluster, e everybody) error {
	const untilSettled = 7
	var plans []plan
	for range untilSettled {
		mark, err := cluster.logMark()
		if err != nil {
			return err
		}
		if _, err := a.question.put(ctx, e); err != nil {
			return err
		}
		if plans, err = cluster.plansSince(mark); err != nil {
			return err
		}
	}
	if len(plans) == 0 {
		return errors.New("the server logged no plan")
	}
	for _, p := range plans {
		s := statement{
			Table: p.table(), Millis: round(p.Root.TotalTime, 2), Rows: p.Root.Rows, Scanned: p.Root.scanned(),
			Buffers: p.Root.buffers(), Nodes: p.Root.summary(),
		}
		a.Plans = append(a.Plans, s)
		for _, name := range p.Root.sequential() {
			a.Flags = append(a.Flags, "Seq Scan of "+name)
		}
		if s.Scanned > tooMany*max(s.Rows, float64(a.Rows), 1) {
			a.Flags = append(a.Flags, fmt.Sprintf("reads %.0f rows of %s for %.0f", s.Scanned, s.Table, s.Rows))
		}
	}
	return nil
}

func printAnswers(answers []answer) {
	fmt.Printf("\n%-38s %9s %9s %5s  %s\n", "question", "rpc p50", "p95 ms", "rows", "statements: ms · rows read · buffers · nodes")
	for _, a := range answers {
		for i, p := range a.Plans {
			head := fmt.Sprintf("%-38s %9s %9s %5s", "", "", "", "")
			if i == 0 {
				head = fmt.Sprintf("%-38s %9.2f %9.2f %5d", a.Question, a.RPC.P50, a.RPC.P95, a.Rows)
			}
			fmt.Printf("%s  %s: %.2f · %.0f · %d · %s\n", head, p.Table, p.Millis, p.Scanned, p.Buffers, p.Nodes)
		}
		for _, flag := range a.Flags {
			fmt.Printf("%-38s (!) %s\n", "", flag)
		}
	}
}

func anys[T any](all []T) []any {
	var lines []any
	for _, one := range all {
		lines = append(lines, one)
	}
	return lines
}
