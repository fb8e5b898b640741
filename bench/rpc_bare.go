package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool" //nolint:depguard // the peer is a plain pool
)

// bareServer is the least that serves the same calls: net/http, encoding/json and pgx. It verifies the token, reads the
// session, sets the claims and the role, runs InTime's statements and commits, all in one round trip. It checks neither
// fields nor permissions, which row level security does in the end.
type bareServer struct {
	pool   *pgxpool.Pool
	secret string
}

const (
	bareConnections = 16 // as InTime's
	bareSession     = `SELECT org_id, org_active, is_active, role_names, permission_names, scopes FROM app.session($1)`
	bareClaims      = `SELECT set_config('request.jwt.claims', $1, true), set_config('role', 'authenticated', true)`
	bareColumns     = `id, client_id, title, description, required_skills, experience_years_min, experience_years_max,
		salary_min, salary_max, salary_currency, location, remote_allowed, status, version, created_by, created_at, updated_at`
	bareGet  = `SELECT ` + bareColumns + ` FROM public.jobs WHERE id = $1 AND deleted_at IS NULL`
	bareList = `SELECT ` + bareColumns + ` FROM public.jobs WHERE deleted_at IS NULL AND status = $1 ORDER BY id DESC LIMIT $2`
	// The organisation is the session's; a pipeline has to ask for it again.
	bareCreate = `INSERT INTO public.jobs (id, org_id, title, description, required_skills, experience_years_min,
			experience_years_max, location, created_by)
		VALUES ($1, app.org_id(), $2, $3, $4, $5, $6, $7, $8) RETURNING ` + bareColumns
	barePublish = `INSERT INTO public.events (id, org_id, type, payload, created_by, source, correlation_id)
		VALUES ($1, app.org_id(), 'job.created', $2, $3, 'api', $1)`
)

// bareJob is a job, in and out.
type bareJob struct {
	ID                 uuid.UUID  `json:"id"`
	ClientID           *uuid.UUID `json:"client_id,omitempty"`
	Title              string     `json:"title"`
	Description        string     `json:"description"`
	RequiredSkills     []string   `json:"required_skills"`
	ExperienceYearsMin *int32     `json:"experience_years_min,omitempty"`
	ExperienceYearsMax *int32     `json:"experience_years_max,omitempty"`
	SalaryMin          *int64     `json:"salary_min,omitempty"`
	SalaryMax          *int64     `json:"salary_max,omitempty"`
	SalaryCurrency     *string    `json:"salary_currency,omitempty"`
	Location           string     `json:"location"`
	RemoteAllowed      bool       `json:"remote_allowed,omitempty"`
	Status             string     `json:"status"`
	Version            int64      `json:"version"`
	CreatedBy          *uuid.UUID `json:"created_by,omitempty"`
	CreatedAt          time.Time  `json:"created_at"`
	UpdatedAt          time.Time  `json:"updated_at"`
}

func serveBare(ctx context.Context, d *database, secret string) (*api, error) {
	url, _, err := loginURLs(d.adminURL())
	if err != nil {
		return nil, err
	}
	s := &bareServer{secret: secret}
	if s.pool, err = openPool(ctx, url, bareConnections); err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		s.pool.Close()
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /jobs/{id}", s.signedIn(s.get))
	mux.Handle("GET /jobs", s.signedIn(s.list))
	mux.Handle("POST /jobs", s.signedIn(s.create))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return &api{address: listener.Addr().String(), calls: bareCalls(), close: func() error {
		err := server.Close()
		s.pool.Close()
		return err
	}}, nil
}

func bareCalls() calls {
	return calls{
		get: func(i int) request {
			return request{method: "GET", path: "/jobs/" + jobID(i), holds: fmt.Sprintf(`%s%d"`, jobTitle, i)}
		},
		list: func() request { return request{method: "GET", path: "/jobs", counts: `"status":"open"`} },
		create: func(n int64) request {
			title := fmt.Sprintf("New job %d", n)
			return request{method: "POST", path: "/jobs", holds: title, body: fmt.Sprintf(
				`{"title":%q,"description":"Builds and looks after systems.","required_skills":["Go","PostgreSQL"],`+
					`"experience_years_min":2,"experience_years_max":9,"location":"Berlin"}`, title)}
		},
	}
}

// signedIn lets in who has a token, and answers with JSON.
func (s *bareServer) signedIn(serve func(r *http.Request, by uuid.UUID) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		claims, err := verifyToken(s.secret, token)
		if err != nil {
			http.Error(w, "unauthenticated", http.StatusUnauthorized)
			return
		}
		by, err := uuid.Parse(claims.Subject)
		if err != nil {
			http.Error(w, "unauthenticated", http.StatusUnauthorized)
			return
		}
		answer, err := serve(r, by)
		if errors.Is(err, pgx.ErrNoRows) {
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	})
}

func (s *bareServer) get(r *http.Request, by uuid.UUID) (any, error) {
	jobs, err := s.query(r.Context(), by, "BEGIN READ ONLY", func(b *pgx.Batch) { b.Queue(bareGet, r.PathValue("id")) })
	if err == nil && len(jobs) == 0 {
		return nil, pgx.ErrNoRows
	}
	return jobs, err
}

func (s *bareServer) list(r *http.Request, by uuid.UUID) (any, error) {
	jobs, err := s.query(r.Context(), by, "BEGIN READ ONLY", func(b *pgx.Batch) { b.Queue(bareList, "open", 51) })
	return jobs[:min(len(jobs), 50)], err
}

func (s *bareServer) create(r *http.Request, by uuid.UUID) (any, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var j bareJob
	if err := json.Unmarshal(body, &j); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	eventID, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	payload, err := json.Marshal(map[string]any{"jobId": id, "title": j.Title, "requiredSkills": j.RequiredSkills})
	if err != nil {
		return nil, err
	}
	return s.query(r.Context(), by, "BEGIN", func(b *pgx.Batch) {
		b.Queue(bareCreate, id, j.Title, j.Description, j.RequiredSkills, j.ExperienceYearsMin, j.ExperienceYearsMax, j.Location, by)
		b.Queue(barePublish, eventID, payload, by)
	})
}

// query runs the statements in one transaction as the person, in one round trip, and returns the jobs of the first.
func (s *bareServer) query(ctx context.Context, by uuid.UUID, begin string, statements func(*pgx.Batch)) ([]bareJob, error) {
	claims, err := json.Marshal(map[string]string{"sub": by.String(), "role": "authenticated"})
	if err != nil {
		return nil, err
	}
	var batch pgx.Batch
	batch.Queue(bareSession, by)
	batch.Queue(begin)
	batch.Queue(bareClaims, string(claims))
	const before = 3
	statements(&batch)
	batch.Queue("COMMIT")
	answers := s.pool.SendBatch(ctx, &batch)
	defer answers.Close()
	for range before {
		if _, err := answers.Exec(); err != nil {
			return nil, err
		}
	}
	rows, err := answers.Query()
	if err != nil {
		return nil, err
	}
	jobs, err := pgx.CollectRows(rows, pgx.RowToStructByName[bareJob])
	if err != nil {
		return nil, err
	}
	return jobs, answers.Close()
}
