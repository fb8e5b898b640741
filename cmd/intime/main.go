// Command intime is InTime: the API, the workers, the dashboard and everything that operates them, in one program.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by the build.
var version = "dev"

// commands are the program's. Each has its settings as flags and environment variables, and a method Run.
type commands struct {
	Dev         devCmd         `cmd:"" help:"Run everything on this machine: a Postgres of its own, demo people, API, workers, dashboard."`
	Serve       serveCmd       `cmd:"" help:"Serve the API and the dashboard and, unless told not to, run the workers."`
	Work        workCmd        `cmd:"" help:"Run the workers alone."`
	Migrate     migrateCmd     `cmd:"" help:"Change the database's schema."`
	Events      eventsCmd      `cmd:"" help:"List, show, follow, export, publish and replay events of a running server."`
	DeadLetters deadLettersCmd `cmd:"" help:"List, retry and discard what handlers of a running server gave up."`
	Handlers    handlersCmd    `cmd:"" help:"List, disable and enable event handlers of a running server."`
	Demo        demoCmd        `cmd:"" help:"Play the product's story from start to end on a throw-away database."`
	Token       tokenCmd       `cmd:"" help:"Print a signed token for a demo person."`
	Doctor      doctorCmd      `cmd:"" help:"Check configuration, database, roles, schema, clocks and the bus, and say what to do."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

type versionCmd struct{}

func (versionCmd) Run() error {
	_, err := fmt.Println(version)
	return err
}

func main() {
	// A second Ctrl-C ends the program at once: the first gives the signals back.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	exit := run(ctx, os.Args[1:])
	stop()
	os.Exit(exit)
}

func run(ctx context.Context, args []string) (exit int) {
	parser, err := kong.New(&commands{}, kong.Name("intime"), kong.ShortUsageOnError(),
		kong.Description("The communication backbone of a staffing and training platform: a typed API and an event bus on Postgres."),
		kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		panic(err) // the struct above is wrong
	}
	command, err := parser.Parse(args)
	parser.FatalIfErrorf(err)
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "intime:", err)
		return 1
	}
	return 0
}
