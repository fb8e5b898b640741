package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	sessionv1 "github.com/intime-solutions/intime/gen/go/intime/session/v1"
	"github.com/intime-solutions/intime/gen/go/intime/session/v1/sessionv1connect"
	"github.com/intime-solutions/intime/internal/platform/apierr"
)

// The reasons of signing in.
const (
	ReasonDemoSignInOff      = "DEMO_SIGN_IN_OFF"      // this server has no demo people
	ReasonDemoPersonNotFound = "DEMO_PERSON_NOT_FOUND" // nobody of that address is a demo person
	ReasonSessionExpired     = "SESSION_EXPIRED"       // there is no session, or it has ended
	ReasonCrossSite          = "CROSS_SITE_REQUEST"    // a page of another site sent the request
)

// DemoPerson is a person whom one may sign in as with one click.
type DemoPerson struct {
	UserID       uuid.UUID
	Email        string
	FullName     string
	Organization string
	Roles        []string
}

// ServiceConfig says what signing in looks like.
type ServiceConfig struct {
	// Environment is the environment's name, for example "dev".
	Environment string
	// PublicURL is the address that browsers reach the server at; with https the cookie is for https alone.
	PublicURL string
	// AllowedOrigins are the other origins whose pages may sign people in, for example "http://localhost:3000".
	AllowedOrigins []string
	// DemoPeople may be signed in as by anybody. None: demo sign-in is off.
	DemoPeople []DemoPerson
}

// Service is the session service.
type Service struct {
	issuer *LocalIssuer
	load   Loader
	config ServiceConfig
	jar    cookieJar
	origin *http.CrossOriginProtection
}

var _ sessionv1connect.SessionServiceHandler = (*Service)(nil)

// NewService returns the session service. Without an issuer nobody can sign in here: people come with tokens of another.
func NewService(issuer *LocalIssuer, load Loader, config ServiceConfig) (*Service, error) {
	if issuer == nil && len(config.DemoPeople) > 0 {
		return nil, errors.New("signing in as a demo person needs the built-in issuer")
	}
	origin := http.NewCrossOriginProtection()
	for _, allowed := range config.AllowedOrigins {
		if err := origin.AddTrustedOrigin(allowed); err != nil {
			return nil, fmt.Errorf("the allowed origin %q is not an origin such as http://localhost:3000: %w", allowed, err)
		}
	}
	return &Service{issuer: issuer, load: load, config: config, jar: newCookieJar(config.PublicURL), origin: origin}, nil
}

// GetSignInOptions returns the ways to sign in.
func (s *Service) GetSignInOptions(
	context.Context, *sessionv1.GetSignInOptionsRequest,
) (*sessionv1.GetSignInOptionsResponse, error) {
	response := &sessionv1.GetSignInOptionsResponse{Environment: s.config.Environment}
	for _, p := range s.config.DemoPeople {
		response.DemoPeople = append(response.DemoPeople, &sessionv1.DemoPerson{
			Email: p.Email, FullName: p.FullName, Organization: p.Organization, Roles: slices.Sorted(slices.Values(p.Roles)),
		})
	}
	return response, nil
}

// SignInAsDemoPerson starts a session of a demo person.
func (s *Service) SignInAsDemoPerson(
	ctx context.Context, request *sessionv1.SignInAsDemoPersonRequest,
) (*sessionv1.SignInAsDemoPersonResponse, error) {
	if len(s.config.DemoPeople) == 0 {
		return nil, apierr.New(connect.CodeFailedPrecondition, ReasonDemoSignInOff, "This server has no demo people to sign in as.")
	}
	call, err := s.sameSiteCall(ctx)
	if err != nil {
		return nil, err
	}
	email := strings.ToLower(strings.TrimSpace(request.GetEmail()))
	i := slices.IndexFunc(s.config.DemoPeople, func(p DemoPerson) bool { return p.Email == email })
	if i < 0 {
		return nil, apierr.NotFound(ReasonDemoPersonNotFound, "demo person")
	}
	person := s.config.DemoPeople[i].UserID
	if _, err := s.load(ctx, person); err != nil {
		return nil, err
	}
	session, _, err := s.issuer.sessionToken(person)
	if err != nil {
		return nil, err
	}
	access, err := s.accessToken(person)
	if err != nil {
		return nil, err
	}
	s.jar.write(call.ResponseHeader(), session, SessionTTL)
	return &sessionv1.SignInAsDemoPersonResponse{AccessToken: access}, nil
}

// RefreshSession returns a new access token for the session in the cookie.
func (s *Service) RefreshSession(
	ctx context.Context, _ *sessionv1.RefreshSessionRequest,
) (*sessionv1.RefreshSessionResponse, error) {
	call, err := s.sameSiteCall(ctx)
	if err != nil {
		return nil, err
	}
	person, err := s.sessionOf(ctx, call.RequestHeader())
	if err != nil {
		s.jar.clear(call.ResponseHeader())
		return nil, apierr.New(connect.CodeUnauthenticated, ReasonSessionExpired, "Sign in again.").Because(err)
	}
	if _, err := s.load(ctx, person); err != nil {
		return nil, err
	}
	access, err := s.accessToken(person)
	if err != nil {
		return nil, err
	}
	return &sessionv1.RefreshSessionResponse{AccessToken: access}, nil
}

// SignOut ends the session in the cookie.
func (s *Service) SignOut(ctx context.Context, _ *sessionv1.SignOutRequest) (*sessionv1.SignOutResponse, error) {
	call, err := s.sameSiteCall(ctx)
	if err != nil {
		return nil, err
	}
	s.jar.clear(call.ResponseHeader())
	return &sessionv1.SignOutResponse{}, nil
}

func (s *Service) sessionOf(ctx context.Context, header http.Header) (uuid.UUID, error) {
	token := s.jar.read(header)
	if token == "" || s.issuer == nil {
		return uuid.Nil, errors.New("no session cookie")
	}
	return s.issuer.sessions.verify(ctx, token, kindSession)
}

func (s *Service) accessToken(person uuid.UUID) (*sessionv1.AccessToken, error) {
	token, expires, err := s.issuer.Token(person, AccessTokenTTL)
	if err != nil {
		return nil, err
	}
	return &sessionv1.AccessToken{Token: token, ExpiresAt: timestamppb.New(expires)}, nil
}

// sameSiteCall returns the call, unless a page of another site sent it: such a page could sign somebody in as a person of
// its choice, or out.
func (s *Service) sameSiteCall(ctx context.Context) (connect.CallInfo, error) {
	call, ok := connect.CallInfoForHandlerContext(ctx)
	if !ok {
		return nil, errors.New("the session service is called outside a handler")
	}
	header := call.RequestHeader()
	// Connect puts the host among the headers.
	request := &http.Request{Method: http.MethodPost, Header: header, Host: header.Get("Host")}
	if err := s.origin.Check(request); err != nil {
		return nil, apierr.New(connect.CodePermissionDenied, ReasonCrossSite, "Sign in from the dashboard itself.").Because(err)
	}
	return call, nil
}
