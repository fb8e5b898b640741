package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const metricsHeaderTimeout = 5 * time.Second

// metricsServer serves /metrics on an address of its own, to whoever reaches it: it knows no callers.
type metricsServer struct {
	server   *http.Server
	listener net.Listener
	logger   *slog.Logger
}

// newMetrics takes the address, so that one that is taken stops the start.
func (a *App) newMetrics(ctx context.Context) (*metricsServer, error) {
	registry := prometheus.NewRegistry()
	info := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "intime_info", Help: "1, with the program's version.", ConstLabels: prometheus.Labels{"version": a.config.Version},
	}, func() float64 { return 1 })
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info, a.bus.Collector(a.worker),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", a.config.MetricsAddress)
	if err != nil {
		return nil, fmt.Errorf("cannot serve metrics on %s: choose another address with INTIME_METRICS_ADDRESS: %w",
			a.config.MetricsAddress, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return &metricsServer{
		server: &http.Server{Handler: mux, ReadHeaderTimeout: metricsHeaderTimeout}, listener: listener, logger: a.config.Logger,
	}, nil
}

// run serves until the context ends.
func (m *metricsServer) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = m.server.Close() })
	defer stop()
	m.logger.InfoContext(ctx, "serving metrics", slog.String("address", m.listener.Addr().String()))
	if err := m.server.Serve(m.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

func (m *metricsServer) close() {
	if m != nil {
		_ = m.listener.Close()
	}
}
