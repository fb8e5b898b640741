package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
)

// program is the program as somebody runs it at a prompt.
type program struct {
	*exec.Cmd

	out, err *output
}

// launch runs the program as a demo person, against the server at the address.
func launch(t *testing.T, env *apptest.Env, person, url string, args ...string) *program {
	t.Helper()
	p := &program{Cmd: exec.CommandContext(t.Context(), os.Args[0], args...), out: new(output), err: new(output)}
	p.Env = append(os.Environ(), asProgram+"=1", "INTIME_URL="+url, "INTIME_TOKEN="+env.Token(t, person))
	p.Stdout, p.Stderr = p.out, p.err
	require.NoError(t, p.Start())
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	return p
}

// runToEnd runs the program to its end.
func runToEnd(t *testing.T, env *apptest.Env, person string, args ...string) (out, err string, code int) {
	t.Helper()
	p := launch(t, env, person, env.URL, args...)
	_ = p.Wait()
	return p.out.String(), p.err.String(), p.ProcessState.ExitCode()
}

// output is what the program has printed so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// await waits until the text was printed.
func (o *output) await(t *testing.T, text string) {
	t.Helper()
	apptest.Eventually(t, func() bool { return strings.Contains(o.String(), text) }, "%q was never printed", text)
}

// wire is a connection to the server that can be cut.
type wire struct {
	url      string
	listener net.Listener

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func newWire(t *testing.T, env *apptest.Env) *wire {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{url: "http://" + listener.Addr().String(), listener: listener}
	go w.accept(strings.TrimPrefix(env.URL, "http://"))
	t.Cleanup(func() { _ = listener.Close(); w.set(true) })
	return w
}

func (w *wire) accept(to string) {
	for {
		here, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.mu.Lock()
		there, err := net.Dial("tcp", to) //nolint:noctx // a test's
		if err != nil || w.cut {
			_ = here.Close()
			w.mu.Unlock()
			continue
		}
		w.conns = append(w.conns, here, there)
		w.mu.Unlock()
		go func() { _, _ = io.Copy(there, here); _ = there.Close() }()
		go func() { _, _ = io.Copy(here, there); _ = here.Close() }()
	}
}

// set cuts the wire, or mends it.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for _, conn := range w.conns {
		_ = conn.Close()
	}
	w.conns = nil
}
