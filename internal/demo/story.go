package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/gen/go/intime/event/v1/eventv1connect"
	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/gen/go/intime/job/v1/jobv1connect"
	userv1 "github.com/intime-solutions/intime/gen/go/intime/user/v1"
	"github.com/intime-solutions/intime/gen/go/intime/user/v1/userv1connect"
)

// StoryConfig says where the story takes place.
type StoryConfig struct {
	URL    string                                    // the running server's
	Token  func(user uuid.UUID) (string, error)      // a bearer token of a demo person
	Step   func(sentence string, took time.Duration) // hears of each step as it ends
	Outbox func() (mails []string, err error)        // the addresses that mail went to so far
}

// Story plays what the product is for, through the API alone: a recruiter creates a job, the event is handled as her,
// matching candidates get mail, an admin sees it all, another organisation sees nothing. The error says which step failed.
func Story(ctx context.Context, config StoryConfig) error {
	s := &story{StoryConfig: config}
	steps := []struct {
		sentence string
		do       func(context.Context) error
	}{
		{"Rita, a recruiter of Acme, signs in", s.signIn},
		{"she creates a job for a Go developer", s.createJob},
		{"job.created was published in the same transaction and is handled as her", s.awaitProcessed},
		{"Cara, who matches, got mail; Cleo (too little experience), Paul (placed) and Globex' Gina did not", s.checkMail},
		{"Ana, the admin, sees the event with its delivery", s.adminSees},
		{"Greta, admin of Globex, sees none of it", s.otherSeesNothing},
		{"a job without skills is refused, naming the field", s.refuseInvalid},
	}
	for _, step := range steps {
		started := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.sentence, err)
		}
		s.Step(step.sentence, time.Since(started))
	}
	return nil
}

type story struct {
	StoryConfig

	job   *jobv1.Job
	event *eventv1.Event
}

// as returns an HTTP client that calls as the person.
func (s *story) as(email string) (*http.Client, error) {
	p, ok := Find(email)
	if !ok {
		return nil, fmt.Errorf("there is no demo person %s", email)
	}
	token, err := s.Token(p.ID())
	if err != nil {
		return nil, err
	}
	return &http.Client{Timeout: 30 * time.Second, Transport: bearer{token: token}}, nil
}

type bearer struct{ token string }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

func (s *story) signIn(ctx context.Context) error {
	client, err := s.as("rita@acme.example")
	if err != nil {
		return err
	}
	me, err := userv1connect.NewUserServiceClient(client, s.URL).GetMe(ctx, &userv1.GetMeRequest{})
	if err != nil {
		return err
	}
	if got := me.GetOrganization().GetName(); got != acme().Name {
		return fmt.Errorf("she is in %q", got)
	}
	return nil
}

func (s *story) createJob(ctx context.Context) error {
	client, err := s.as("rita@acme.example")
	if err != nil {
		return err
	}
	response, err := jobv1connect.NewJobServiceClient(client, s.URL).CreateJob(ctx, &jobv1.CreateJobRequest{
		Title: "Backend developer", Description: "Build the event bus of a staffing platform.",
		RequiredSkills: []string{"Go", "PostgreSQL"}, ExperienceYearsMin: new(int32(4)),
		SalaryMin: new(int64(70_000)), SalaryMax: new(int64(95_000)), SalaryCurrency: "EUR",
		Location: "Lisbon", RemoteAllowed: true,
	})
	if err != nil {
		return err
	}
	s.job = response.GetJob()
	return nil
}

// awaitProcessed finds the job's event and waits until its delivery succeeded.
func (s *story) awaitProcessed(ctx context.Context) error {
	client, err := s.as("ana@acme.example")
	if err != nil {
		return err
	}
	events := eventv1connect.NewEventServiceClient(client, s.URL)
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		list, err := events.ListEvents(ctx, &eventv1.ListEventsRequest{Types: []string{"job.created"}, PageSize: 20})
		if err != nil {
			return err
		}
		for _, event := range list.GetEvents() {
			if event.GetPayload().AsMap()["jobId"] == s.job.GetId() && event.GetStatus() == eventv1.EventStatus_EVENT_STATUS_PROCESSED {
				s.event = event
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.New("the event was not processed within 20 s")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *story) checkMail(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		mails, err := s.Outbox()
		if err != nil {
			return err
		}
		if len(mails) > 0 {
			if len(mails) != 1 || mails[0] != "cara@acme.example" {
				return fmt.Errorf("mail went to %v", mails)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("no mail within 20 s")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *story) adminSees(ctx context.Context) error {
	client, err := s.as("ana@acme.example")
	if err != nil {
		return err
	}
	response, err := eventv1connect.NewEventServiceClient(client, s.URL).GetEvent(ctx, &eventv1.GetEventRequest{Id: s.event.GetId()})
	if err != nil {
		return err
	}
	deliveries := response.GetEvent().GetDeliveries()
	if len(deliveries) != 1 || len(deliveries[0].GetAttempts()) != 1 {
		return fmt.Errorf("she sees %d deliveries", len(deliveries))
	}
	return nil
}

func (s *story) otherSeesNothing(ctx context.Context) error {
	client, err := s.as("greta@globex.example")
	if err != nil {
		return err
	}
	_, err = jobv1connect.NewJobServiceClient(client, s.URL).GetJob(ctx, &jobv1.GetJobRequest{Id: s.job.GetId()})
	if connect.CodeOf(err) != connect.CodeNotFound {
		return fmt.Errorf("she asked for the job and got %w", err)
	}
	list, err := eventv1connect.NewEventServiceClient(client, s.URL).ListEvents(ctx, &eventv1.ListEventsRequest{Id: s.event.GetId()})
	if err != nil {
		return err
	}
	if n := len(list.GetEvents()); n != 0 {
		return fmt.Errorf("she sees %d events", n)
	}
	return nil
}

func (s *story) refuseInvalid(ctx context.Context) error {
	client, err := s.as("rita@acme.example")
	if err != nil {
		return err
	}
	_, err = jobv1connect.NewJobServiceClient(client, s.URL).CreateJob(ctx, &jobv1.CreateJobRequest{
		Title: "Backend developer", Description: "A job without skills.", Location: "Lisbon",
	})
	if connect.CodeOf(err) != connect.CodeInvalidArgument {
		return fmt.Errorf("the answer was %w", err)
	}
	return nil
}
