package candidate

import (
	"github.com/intime-solutions/intime/internal/eventbus"
	"github.com/intime-solutions/intime/internal/platform/postgres"
)

// Service implements intime.candidate.v1.CandidateService.
type Service struct {
	db  *postgres.DB
	bus *eventbus.Bus
}

// NewService returns the service.
func NewService(db *postgres.DB, bus *eventbus.Bus) *Service { return &Service{db: db, bus: bus} }
