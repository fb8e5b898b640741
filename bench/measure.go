package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// publishers is how many publish at once in the workloads that load the machine; pools for publishing are as large.
const publishers = 16

// bench is one run of the program.
type bench struct {
	*cluster

	template *database
	results  *results
	quick    bool
	failed   int
}

// workload is something to measure.
type workload struct {
	name, about string
	run         func(ctx context.Context, b *bench) error
}

func workloads() []workload {
	return []workload{
		{"latency", "publish → start of the handler, at constant rates", measureLatency},
		{"publish", "publish, one after another", measurePublish},
		{"throughput", "16 publishers while workers run", measureThroughput},
		{"drain", "work off a backlog", measureDrain},
		{"rpc", "get, list and create over HTTP", measureRPC},
	}
}

var errUnverified = errors.New("a run failed or its rows do not add up: see the lines marked (!)")

func measure(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", "", "comma-separated workloads: latency, publish, throughput, drain, rpc (default all)")
	out := flags.String("out", "bench/results", "the folder for results")
	quick := flags.Bool("quick", os.Getenv("QUICK") == "1", "a tenth of the counts and durations (QUICK=1): for \"does it work\"")
	settings := map[string]string{}
	flags.Func("set", "a further setting of Postgres, as name=value, for experiments; may be repeated", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return errors.New("name=value is expected")
		}
		settings[name] = value
		return nil
	})
	profile := flags.String("cpuprofile", "", "write a CPU profile of this process to the file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	b := &bench{quick: *quick}
	if b.cluster, err = startCluster(ctx, "bench", settings); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stop(ctx)) }()
	if b.results, err = createResults(*out, b.quick); err != nil {
		return err
	}
	defer b.results.file.Close()
	if *profile != "" {
		stop, err := profileCPU(*profile)
		if err != nil {
			return err
		}
		defer stop()
	}
	return b.run(ctx, chosen)
}

func (b *bench) run(ctx context.Context, chosen []workload) error {
	facts, err := b.meta(ctx, b.quick)
	if err != nil {
		return err
	}
	if err := b.results.write(facts); err != nil {
		return err
	}
	fmt.Println(facts)
	fmt.Println("Ratios are InTime's value through the peer's. noise: the share of the machine that other programs took;")
	fmt.Println("above 10% a row is not worth citing.")
	if b.template, err = b.makeTemplate(ctx); err != nil {
		return err
	}
	began := time.Now()
	for _, w := range chosen {
		note(w.name + ": " + w.about + " …")
		if err := w.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	fmt.Printf("\n%s, %.0f s\n", b.results.path, time.Since(began).Seconds())
	if b.failed > 0 {
		return errUnverified
	}
	return nil
}

func choose(only string) ([]workload, error) {
	all := workloads()
	if only == "" {
		return all, nil
	}
	var chosen []workload
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(w workload) bool { return w.name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, fmt.Errorf("there is no workload %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func profileCPU(path string) (stop func(), err error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = file.Close()
	}, nil
}

// scaled is a count, or a tenth of it in a quick run.
func (b *bench) scaled(n int) int {
	if b.quick {
		return max(n/10, 1)
	}
	return n
}

func (b *bench) scaledTime(d time.Duration) time.Duration {
	if b.quick {
		return d / 10
	}
	return d
}

// record verifies a result's checks, writes it and counts failures.
func (b *bench) record(r *result) error {
	r.Kind, r.Verified = "result", r.Error == ""
	for _, c := range r.Checks {
		r.Verified = r.Verified && c.ok()
	}
	if !r.Verified {
		b.failed++
	}
	return b.results.write(r)
}
