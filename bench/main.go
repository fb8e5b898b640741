// Command bench measures InTime beside its peers on one Postgres that waits for the disk: raw River, one INSERT per event,
// and an HTTP server without a framework. Every run counts rows in the end; one that does not add up makes it fail.
//
//	go run ./bench             measure; -only names workloads
//	go run ./bench explain     show the plans of the list calls on a million rows
//	go run ./bench adapter     be driven by another benchmark (adapters/intime.json)
//
// Start at measure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// A second Ctrl-C ends the program at once: the first gives the signals back.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	switch command {
	case "explain":
		return explain(ctx, args[1:])
	case "adapter":
		return adapter(ctx, args[1:])
	default:
		return measure(ctx, args)
	}
}
