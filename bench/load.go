package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load asks a server over plain sockets, one request at a time on each connection, and checks every answer.
type load struct {
	address string
	calls   calls
	tokens  []string // one per organisation
	jobs    int
	numbers atomic.Int64 // for new jobs' titles
	created atomic.Int64 // jobs that the server said it created
}

// run keeps so many connections busy for a while and returns how long each call took.
func (l *load) run(ctx context.Context, operation string, connections int, lasting time.Duration) ([]time.Duration, error) {
	var (
		group  sync.WaitGroup
		all    = make([][]time.Duration, connections)
		errs   = make([]error, connections)
		ending = time.Now().Add(lasting)
	)
	for i := range connections {
		group.Go(func() { all[i], errs[i] = l.connection(ctx, operation, ending) })
	}
	group.Wait()
	var latencies []time.Duration
	for _, some := range all {
		latencies = append(latencies, some...)
	}
	return latencies, errors.Join(errs...)
}

func (l *load) connection(ctx context.Context, operation string, ending time.Time) (latencies []time.Duration, err error) {
	c, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for ctx.Err() == nil {
		r, org := l.next(operation)
		began := time.Now()
		if !began.Before(ending) {
			return latencies, nil
		}
		status, body, err := c.ask(r, l.tokens[org])
		if err != nil {
			return nil, err
		}
		latencies = append(latencies, time.Since(began))
		if status != http.StatusOK || !bytes.Contains(body, []byte(r.holds)) {
			return nil, fmt.Errorf("HTTP %d: %.300s", status, body)
		}
		if operation == "create" {
			l.created.Add(1)
		}
		if n := bytes.Count(body, []byte(r.counts)); r.counts != "" && n != 50 {
			return nil, fmt.Errorf("a page of 50 has %d entries", n)
		}
	}
	return nil, ctx.Err()
}

// next is a request for a random job of a random organisation.
func (l *load) next(operation string) (r request, org int) {
	org = rand.IntN(organizations) //nolint:gosec // any will do
	switch operation {
	case "get":
		i := 1 + rand.IntN(l.jobs) //nolint:gosec // any will do
		return l.calls.get(i), i % organizations
	case "list":
		return l.calls.list(), org
	default:
		return l.calls.create(l.numbers.Add(1)), org
	}
}

// refusals checks that the server lets nobody in with a forged or an expired token, and shows nobody another
// organisation's job.
func (l *load) refusals(ctx context.Context, secret string) []check {
	ask := func(token string) int {
		c, err := l.connect(ctx)
		if err != nil {
			return 0
		}
		defer c.Close()
		status, _, err := c.ask(l.calls.get(1), token)
		if err != nil {
			return 0
		}
		return status
	}
	return []check{
		counted("own job", ask(l.tokens[1]), http.StatusOK),
		counted("another organisation's job", ask(l.tokens[2]), http.StatusNotFound),
		counted("forged token", ask(signToken(newSecret(), 1, time.Hour)), http.StatusUnauthorized),
		counted("expired token", ask(signToken(secret, 1, -time.Hour)), http.StatusUnauthorized),
	}
}

// connection is a socket to the server.
type connection struct {
	net.Conn

	reader *bufio.Reader
	buffer bytes.Buffer
}

func (l *load) connect(ctx context.Context) (*connection, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: conn, reader: bufio.NewReaderSize(conn, 64<<10)}, nil
}

func (c *connection) ask(r request, token string) (status int, body []byte, err error) {
	c.buffer.Reset()
	c.buffer.WriteString(r.method + " " + r.path + " HTTP/1.1\r\nHost: " + c.RemoteAddr().String() + "\r\nAuthorization: Bearer " + token)
	if r.body != "" {
		c.buffer.WriteString("\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(r.body)))
	}
	c.buffer.WriteString("\r\n\r\n" + r.body)
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, nil, err
	}
	if _, err := c.Write(c.buffer.Bytes()); err != nil {
		return 0, nil, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}
