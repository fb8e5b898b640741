package main

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// proxy is the network between a process and its database, and can be as bad as networks are.
type proxy struct {
	target   string
	listener net.Listener

	mu      sync.Mutex
	open    map[*pipe]bool
	delay   time.Duration
	hole    chan struct{} // closed when data flow again; nil while they flow
	running sync.WaitGroup
}

// pipe is a connection: the client's half and the server's.
type pipe struct{ client, server net.Conn }

// newProxy starts a proxy in front of the address.
func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not wait
	require.NoError(t, err)
	p := &proxy{target: target, listener: listener, open: map[*pipe]bool{}}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		listener.Close()
		p.heal()
		p.reset()
		p.running.Wait()
	})
	return p
}

// through is the address of the same database behind the proxy.
func (p *proxy) through(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	u.Host = p.listener.Addr().String()
	return u.String()
}

// slow delays everything by so much, each way.
func (p *proxy) slow(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// blackhole lets nothing through any more, and says nothing about it: connections are neither made nor closed.
func (p *proxy) blackhole() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hole == nil {
		p.hole = make(chan struct{})
	}
}

// heal lets through what waits, and everything after it.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hole != nil {
		close(p.hole)
		p.hole = nil
	}
}

// reset breaks every connection off.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		for _, half := range []net.Conn{c.client, c.server} {
			if half != nil {
				_ = half.(*net.TCPConn).SetLinger(0)
				half.Close()
			}
		}
	}
}

// connections is how many are open.
func (p *proxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		c := &pipe{client: client}
		p.mu.Lock()
		p.open[c] = true
		p.mu.Unlock()
		p.running.Go(func() { p.connect(c) })
	}
}

func (p *proxy) connect(c *pipe) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, c)
		c.client.Close()
		if c.server != nil {
			c.server.Close()
		}
	}()
	p.pass()
	server, err := net.Dial("tcp", p.target) //nolint:noctx // it is on this machine
	if err != nil {
		return
	}
	p.mu.Lock()
	c.server = server
	p.mu.Unlock()
	// Whichever half ends first, the other one has nobody to talk to.
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{c.client, server}, {server, c.client}} {
		go func() {
			p.pump(way[1], way[0])
			ended <- struct{}{}
		}()
	}
	<-ended
	c.client.Close()
	server.Close()
	<-ended
}

func (p *proxy) pump(to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.pass()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits until what was read may go on.
func (p *proxy) pass() {
	p.mu.Lock()
	hole, delay := p.hole, p.delay
	p.mu.Unlock()
	if hole != nil {
		<-hole
	}
	if delay > 0 {
		<-time.After(delay)
	}
}
