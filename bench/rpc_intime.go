package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/platform/config"
)

const jobService = "/intime.job.v1.JobService/"

// serveInTime serves the API as `intime serve --no-workers` does, with tokens signed by a shared secret.
func serveInTime(ctx context.Context, d *database, secret string) (*api, error) {
	program, stop, err := runAPI(ctx, d, secret)
	if err != nil {
		return nil, err
	}
	address, err := url.Parse(program.URL())
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	return &api{address: address.Host, close: stop, calls: calls{
		get: func(i int) request {
			return request{
				method: "POST", path: jobService + "GetJob", body: fmt.Sprintf(`{"id":%q}`, jobID(i)),
				holds: fmt.Sprintf(`%s%d"`, jobTitle, i),
			}
		},
		list: func() request {
			return request{
				method: "POST", path: jobService + "ListJobs", body: `{"pageSize":50,"statuses":["JOB_STATUS_OPEN"]}`,
				holds: "nextPageToken", counts: `"JOB_STATUS_OPEN"`,
			}
		},
		create: func(n int64) request {
			title := fmt.Sprintf("New job %d", n)
			return request{
				method: "POST", path: jobService + "CreateJob", holds: title,
				body: fmt.Sprintf(`{"title":%q,"description":"Builds and looks after systems.","requiredSkills":["Go","PostgreSQL"],`+
					`"experienceYearsMin":2,"experienceYearsMax":9,"location":"Berlin"}`, title),
			}
		},
	}}, nil
}

// runAPI runs the program's API, without workers, until stop is called.
func runAPI(ctx context.Context, d *database, secret string) (program *app.App, stop func() error, err error) {
	apiURL, _, err := loginURLs(d.adminURL())
	if err != nil {
		return nil, nil, err
	}
	logger, err := discardedLog()
	if err != nil {
		return nil, nil, err
	}
	program, err = app.New(ctx, app.Config{
		Server: config.Server{
			Addr: "127.0.0.1:0", Auth: config.Auth{Issuer: tokenIssuer, Audience: []string{tokenAudience}, JWTSecret: secret},
		},
		APIURL: apiURL, DataDir: d.cluster.dir, GracePeriod: 5 * time.Second, Serve: true, Environment: "bench", Version: "bench",
		Logger: logger,
	})
	if err != nil {
		return nil, nil, err
	}
	if err := program.Listen(ctx); err != nil {
		program.Close()
		return nil, nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- program.Run(running) }()
	return program, func() error {
		cancel()
		err := <-done
		program.Close()
		return err
	}, nil
}
