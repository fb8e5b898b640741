package main

import (
	"context"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/gen/go/intime/event/v1/eventv1connect"
	jobv1 "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	"github.com/intime-solutions/intime/gen/go/intime/job/v1/jobv1connect"
)

// smallTenant is the number of the small organisation and its person.
const smallTenant = organizations

// everybody are the people who ask: one of a large organisation and one of the small one.
type everybody struct{ large, small callers }

// callers are typed clients of one person.
type callers struct {
	events   eventv1connect.EventServiceClient
	handlers eventv1connect.EventHandlerServiceClient
	jobs     jobv1connect.JobServiceClient
}

type bearer string

// RoundTrip adds the token.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func newCallers(url, token string) callers {
	client := &http.Client{Transport: bearer(token)}
	return callers{
		eventv1connect.NewEventServiceClient(client, url), eventv1connect.NewEventHandlerServiceClient(client, url),
		jobv1connect.NewJobServiceClient(client, url),
	}
}

// question is a call to explain. It returns how many entries came.
type question struct {
	name  string
	ask   func(ctx context.Context, c callers) (int, error)
	small bool // asked by the person of the small organisation
}

func (q question) put(ctx context.Context, e everybody) (int, error) {
	if q.small {
		return q.ask(ctx, e.small)
	}
	return q.ask(ctx, e.large)
}

// deepPages is how far into a list the deep pages are, in pages of 100.
const deepPages = 200

func eventList(name string, request *eventv1.ListEventsRequest) question {
	return question{name: "events: " + name, ask: func(ctx context.Context, c callers) (int, error) {
		page, err := c.events.ListEvents(ctx, request)
		return len(page.GetEvents()), err
	}}
}

func jobList(name string, request *jobv1.ListJobsRequest) question {
	return question{name: "jobs: " + name, ask: func(ctx context.Context, c callers) (int, error) {
		page, err := c.jobs.ListJobs(ctx, request)
		return len(page.GetJobs()), err
	}}
}

// statuses are short names for the cases.
const (
	pending    = eventv1.EventStatus_EVENT_STATUS_PENDING
	processed  = eventv1.EventStatus_EVENT_STATUS_PROCESSED
	failed     = eventv1.EventStatus_EVENT_STATUS_FAILED
	deadLetter = eventv1.EventStatus_EVENT_STATUS_DEAD_LETTER
	open       = jobv1.JobStatus_JOB_STATUS_OPEN
	closed     = jobv1.JobStatus_JOB_STATUS_CLOSED
	filled     = jobv1.JobStatus_JOB_STATUS_FILLED
)

func eventQuestions(now time.Time, newest string) []question {
	type r = eventv1.ListEventsRequest
	type s = []eventv1.EventStatus
	ago := func(days int) *timestamppb.Timestamp { return timestamppb.New(now.AddDate(0, 0, -days)) }
	return []question{
		eventList("all", &r{}),
		eventList("all, page of 100", &r{PageSize: 100}),
		eventList("processed (97 %)", &r{Statuses: s{processed}}),
		eventList("pending (2 %)", &r{Statuses: s{pending}}),
		eventList("dead letter (0.1 %)", &r{Statuses: s{deadLetter}}),
		eventList("failed or dead letter", &r{Statuses: s{failed, deadLetter}}),
		eventList("four states", &r{Statuses: s{pending, processed, failed, deadLetter}}),
		eventList("type, common", &r{Types: []string{"job.created"}}),
		eventList("type, rare", &r{Types: []string{"system.probe"}}),
		eventList("type, only long ago", &r{Types: []string{"candidate.imported"}}),
		eventList("type, none", &r{Types: []string{"user.onboarding_completed"}}),
		eventList("five types", &r{Types: []string{"job.created", "user.created", "candidate.placed", "course.graduated", "system.probe"}}),
		eventList("type and state", &r{Types: []string{"job.created"}, Statuses: s{deadLetter}}),
		eventList("rare type and rare state", &r{Types: []string{"system.probe"}, Statuses: s{deadLetter}}),
		eventList("handler, common", &r{HandlerName: "notify_matching_candidates"}),
		eventList("handler, rare", &r{HandlerName: "seldom_handler"}),
		eventList("handler, only long ago", &r{HandlerName: "retired_handler"}),
		eventList("handler, none", &r{HandlerName: "nobody"}),
		eventList("handler and rare state", &r{HandlerName: "notify_matching_candidates", Statuses: s{deadLetter}}),
		eventList("rare handler and common state", &r{HandlerName: "seldom_handler", Statuses: s{processed}}),
		eventList("no handler and common state", &r{HandlerName: "nobody", Statuses: s{processed}}),
		eventList("handler and another type", &r{HandlerName: "run_probe", Types: []string{"job.created"}}),
		eventList("one day", &r{PublishedAfter: ago(31), PublishedBefore: ago(30)}),
		eventList("since yesterday", &r{PublishedAfter: ago(1)}),
		eventList("before 80 days ago", &r{PublishedBefore: ago(80)}),
		eventList("one day, dead letter", &r{PublishedAfter: ago(31), PublishedBefore: ago(30), Statuses: s{deadLetter}}),
		eventList("one day, rare handler", &r{PublishedAfter: ago(31), PublishedBefore: ago(30), HandlerName: "seldom_handler"}),
		eventList("one month, no handler", &r{PublishedAfter: ago(60), PublishedBefore: ago(30), HandlerName: "nobody"}),
		eventList("id", &r{Id: newest}),
		eventList("id, none", &r{Id: jobID(1)}),
		eventList("id and state", &r{Id: newest, Statuses: s{processed}}),
		{name: "events: one, with its timeline", ask: func(ctx context.Context, c callers) (int, error) {
			_, err := c.events.GetEvent(ctx, &eventv1.GetEventRequest{Id: newest})
			return 1, err
		}},
	}
}

func jobQuestions() []question {
	type r = jobv1.ListJobsRequest
	type s = []jobv1.JobStatus
	remote := true
	return []question{
		jobList("all", &r{}),
		jobList("open (75 %)", &r{Statuses: s{open}}),
		jobList("filled (0.1 %)", &r{Statuses: s{filled}}),
		jobList("closed or filled", &r{Statuses: s{closed, filled}}),
		jobList("three states", &r{Statuses: s{open, closed, filled}}),
		jobList("client", &r{ClientId: personID(1).String()}),
		jobList("client, none", &r{ClientId: jobID(1)}),
		jobList("client and rare state", &r{ClientId: personID(1).String(), Statuses: s{open}}),
		jobList("skill, common", &r{Skill: "postgresql"}),
		jobList("skill, 1 %", &r{Skill: "skill 42"}),
		jobList("skill, rare", &r{Skill: "cobol"}),
		jobList("skill, none", &r{Skill: "latin"}),
		jobList("search, common", &r{Query: "engineer"}),
		jobList("search, rare", &r{Query: "lighthouse"}),
		jobList("search, none", &r{Query: "zeppelin pilot"}),
		jobList("search, two letters, none", &r{Query: "zq"}),
		jobList("search, none, filled", &r{Query: "zeppelin pilot", Statuses: s{filled}}),
		jobList("remote", &r{RemoteAllowed: &remote}),
	}
}

// smallQuestions are asked by somebody whose organisation has hardly anything: what the others have must not slow him down.
func smallQuestions() []question {
	all := []question{
		eventList("all, small", &eventv1.ListEventsRequest{}),
		eventList("processed, small", &eventv1.ListEventsRequest{Statuses: []eventv1.EventStatus{processed}}),
		eventList("dead letter, small", &eventv1.ListEventsRequest{Statuses: []eventv1.EventStatus{deadLetter}}),
		eventList("type, small", &eventv1.ListEventsRequest{Types: []string{"job.created"}}),
		eventList("handler, small", &eventv1.ListEventsRequest{HandlerName: "notify_matching_candidates"}),
		jobList("all, small", &jobv1.ListJobsRequest{}),
		jobList("open, small", &jobv1.ListJobsRequest{Statuses: []jobv1.JobStatus{open}}),
		jobList("search, small", &jobv1.ListJobsRequest{Query: "zeppelin pilot"}),
	}
	for i := range all {
		all[i].small = true
	}
	return all
}

// pageQuestions are the second page and one far behind, of lists that have so many.
func pageQuestions(ctx context.Context, c callers) ([]question, error) {
	var all []question
	for _, list := range []struct {
		name    string
		request *eventv1.ListEventsRequest
	}{
		{"all", &eventv1.ListEventsRequest{PageSize: 100}},
		{"processed", &eventv1.ListEventsRequest{PageSize: 100, Statuses: []eventv1.EventStatus{processed}}},
		{"type", &eventv1.ListEventsRequest{PageSize: 100, Types: []string{"job.created"}}},
		{"handler", &eventv1.ListEventsRequest{PageSize: 100, HandlerName: "notify_matching_candidates"}},
	} {
		request := list.request
		next := func() (string, error) {
			page, err := c.events.ListEvents(ctx, request)
			return page.GetNextPageToken(), err
		}
		err := walk(next, &request.PageToken, func(depth, token string) {
			all = append(all, eventList(list.name+", "+depth, &eventv1.ListEventsRequest{
				PageToken: token, Statuses: request.GetStatuses(), Types: request.GetTypes(), HandlerName: request.GetHandlerName(),
			}))
		})
		if err != nil {
			return nil, err
		}
	}
	request := &jobv1.ListJobsRequest{PageSize: 100}
	next := func() (string, error) {
		page, err := c.jobs.ListJobs(ctx, request)
		return page.GetNextPageToken(), err
	}
	err := walk(next, &request.PageToken, func(depth, token string) {
		all = append(all, jobList("all, "+depth, &jobv1.ListJobsRequest{PageToken: token}))
	})
	return all, err
}

func walk(next func() (string, error), at *string, found func(depth, token string)) error {
	for page := range deepPages {
		token, err := next()
		if err != nil || token == "" {
			return err
		}
		*at = token
		switch page {
		case 0:
			found("second page", token)
		case deepPages - 1:
			found("deep page", token)
		}
	}
	return nil
}

// newestEvent is the id of some event of the caller's.
func newestEvent(ctx context.Context, c callers) (string, error) {
	page, err := c.events.ListEvents(ctx, &eventv1.ListEventsRequest{PageSize: 20})
	if err != nil {
		return "", err
	}
	if len(page.GetEvents()) == 0 {
		return "", connect.NewError(connect.CodeNotFound, nil)
	}
	return page.GetEvents()[len(page.GetEvents())-1].GetId(), nil
}
