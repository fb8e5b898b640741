package auth

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

const (
	// keysRefreshInterval is the least time between two fetches of a key set: tokens of unknown keys cost nothing more.
	keysRefreshInterval = time.Minute
	// keysRetryInterval takes its place while there is no key at all and so nobody can sign in.
	keysRetryInterval = 5 * time.Second
	// keysMaxAge is how long a key set is used before it is fetched anew beside the calls, so that a withdrawn key ends.
	keysMaxAge = 10 * time.Minute
	// keysTimeout is how long one fetch may take.
	keysTimeout = 5 * time.Second
	// keysMaxBytes is how large a key set may be.
	keysMaxBytes = 256 << 10
)

// remoteKeys are the keys that an issuer publishes. A fetch that fails leaves the old keys in place.
type remoteKeys struct {
	url    string
	client *http.Client
	now    func() time.Time
	logger *slog.Logger
	flight singleflight.Group

	mu        sync.Mutex
	keys      staticKeys
	fetched   time.Time // the last fetch that succeeded
	attempted time.Time // the last fetch
}

func newRemoteKeys(url string, config VerifierConfig) *remoteKeys {
	client := config.Client
	if client == nil {
		client = &http.Client{
			Timeout: keysTimeout,
			// The keys come from the configured address and from nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &remoteKeys{url: url, client: client, now: config.Now, logger: config.Logger}
}

func (r *remoteKeys) find(ctx context.Context, keyID string) []jose.JSONWebKey {
	r.mu.Lock()
	found := r.keys.find(ctx, keyID)
	stale := r.now().Sub(r.fetched) >= keysMaxAge
	r.mu.Unlock()
	if len(found) > 0 {
		if stale {
			r.refresh() //nolint:contextcheck // It goes on beside the call.
		}
		return found
	}
	select {
	case <-r.refresh(): //nolint:contextcheck // It outlives the call: others wait for it too.
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys.find(ctx, keyID)
}

// refresh fetches the keys unless that was done a moment ago. However many ask at once, one fetch serves them all; it
// outlives the call that asked for it, since others wait for it too.
func (r *remoteKeys) refresh() <-chan singleflight.Result {
	return r.flight.DoChan("", func() (any, error) {
		if !r.due() {
			return nil, nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), keysTimeout)
		defer cancel()
		keys, err := r.fetch(ctx)
		if err != nil {
			r.logger.WarnContext(ctx, "the issuer's keys cannot be fetched", "url", r.url, "error", err)
			return nil, err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.keys, r.fetched = keys, r.now()
		return nil, nil
	})
}

func (r *remoteKeys) due() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	interval := keysRefreshInterval
	if len(r.keys) == 0 {
		interval = keysRetryInterval
	}
	now := r.now()
	if !r.attempted.IsZero() && now.Sub(r.attempted) < interval {
		return false
	}
	r.attempted = now
	return true
}

func (r *remoteKeys) fetch(ctx context.Context) (staticKeys, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask for the key set: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask for the key set: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask for the key set: the answer is %s", response.Status)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, keysMaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	if len(data) > keysMaxBytes {
		return nil, fmt.Errorf("the key set is larger than %d bytes", keysMaxBytes)
	}
	return parseKeys(data)
}
