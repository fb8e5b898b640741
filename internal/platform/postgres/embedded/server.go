package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// Server is a running Postgres. Its methods may be called concurrently.
type Server struct {
	folder   *folder
	binaries binaries
	process  *process
	port     int
	password string
	done     chan struct{}

	stop    sync.Once
	stopErr error

	mu       sync.Mutex
	stopping bool
	endedErr error
}

// Start brings up a server and returns when it accepts connections. The first
// start of a folder creates the database (about a second) and may fetch the
// binaries; later ones take about 50 ms. ctx bounds the start, not the life of
// the server; call [Server.Stop] in the end.
//
// Errors are sentences for the person at the keyboard and quote the last lines
// of the server's log. Nothing is changed in a folder that is in use by another
// program or whose data another major version of Postgres made.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	f, err := openFolder(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("embedded Postgres: %w", err)
	}
	s, err := startIn(ctx, cfg, f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("embedded Postgres: %w", err), f.close())
	}
	return s, nil
}

func startIn(ctx context.Context, cfg Config, f *folder) (*Server, error) {
	who, err := accountFor(f.data())
	if err != nil {
		return nil, err
	}
	if err := who.checkReach(f.path); err != nil {
		return nil, err
	}
	major, err := dataVersion(f.data())
	if err != nil {
		return nil, err
	}
	bin, err := findBinaries(ctx, cfg, who, major)
	if err != nil {
		return nil, err
	}
	if major != 0 && major != bin.major {
		return nil, wrongMajor(f.data(), major, bin)
	}

	ctx, cancel := context.WithTimeoutCause(ctx, cfg.StartTimeout,
		fmt.Errorf("the server was not ready within %s", cfg.StartTimeout))
	defer cancel()
	if major == 0 {
		if err := createData(ctx, cfg, f, who, bin); err != nil {
			return nil, err
		}
	}
	password, err := f.readPassword()
	if err != nil {
		return nil, err
	}
	process, port, err := launch(ctx, cfg, f, who, bin)
	if err != nil {
		return nil, err
	}
	s := &Server{
		folder: f, binaries: bin, process: process, port: port, password: password,
		done: make(chan struct{}),
	}
	if err := s.connect(ctx); err != nil {
		return nil, errors.Join(err, process.stop(ctx, bin, f.data()))
	}
	go s.watch()
	return s, nil
}

// URL is the address of one database for the superuser postgres, password
// included: 127.0.0.1, without TLS. The database "postgres" always exists.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Version is the version of Postgres that runs, such as "18.4".
func (s *Server) Version() string { return s.binaries.version }

// Done is closed when the server process has ended by itself: a crash, or
// someone outside stopped it. Stop does not close it. [Server.Err] then says
// why; Stop is still needed before the folder can be started again.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err says why the server ended by itself, with the last lines of its log; nil
// before Done is closed.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.endedErr
}

// Stop ends the server (open transactions are rolled back, the data written),
// waits for it, removes the data of an ephemeral one and gives up the folder.
// When ctx ends first, the server is made to stop at once and the error says
// so; its data are recovered by the next start. The server is gone in any case.
// Further calls return what the first did.
//
// A program that is killed cannot call Stop. Linux then shuts the server down,
// on macOS a small watching process does, on Windows a job object ends it; the
// next Start on the folder waits for that.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		s.mu.Lock()
		s.stopping = true
		s.mu.Unlock()
		s.stopErr = errors.Join(s.process.stop(ctx, s.binaries, s.folder.data()), s.folder.close())
	})
	return s.stopErr
}

// connect proves that the server takes the password that URL hands out.
func (s *Server) connect(ctx context.Context) error {
	conn, err := pgconn.Connect(ctx, s.URL("postgres"))
	if pgErr := (*pgconn.PgError)(nil); errors.As(err, &pgErr) && pgErr.Code == "28P01" {
		return fmt.Errorf("the password in %s is not the one of the data in %s: put the right one back, "+
			"or delete both to begin with an empty database", s.folder.passwordFile(), s.folder.data())
	}
	if err != nil {
		return fmt.Errorf("connect to the server just started: %w%s", err, s.folder.log().quote(0))
	}
	if err := conn.Close(ctx); err != nil {
		return fmt.Errorf("close the first connection: %w", err)
	}
	return nil
}

// watch notices when the process ends by itself.
func (s *Server) watch() {
	<-s.process.exited
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return
	}
	s.endedErr = fmt.Errorf("embedded Postgres ended by itself: %w%s", s.process.err, s.folder.log().quote(0))
	close(s.done)
}
