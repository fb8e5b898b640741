package auth

import (
	"encoding/json"
	"net/http"
)

const (
	jwksPath      = "/.well-known/jwks.json"
	discoveryPath = "/.well-known/openid-configuration"
)

// discovery is as much of OpenID Connect Discovery as a verifier of tokens needs.
type discovery struct {
	Issuer     string   `json:"issuer"`
	JWKSURI    string   `json:"jwks_uri"`
	Algorithms []string `json:"id_token_signing_alg_values_supported"`
}

// Handler serves the issuer's public key and its discovery document under /.well-known/.
func (i *LocalIssuer) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+jwksPath, serveJSON(i.JWKS()))
	mux.HandleFunc("GET "+discoveryPath, serveJSON(discovery{
		Issuer: i.url, JWKSURI: i.url + jwksPath, Algorithms: []string{"ES256"},
	}))
	return mux
}

func serveJSON(document any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		data, err := json.Marshal(document)
		if err != nil {
			http.Error(w, "this document cannot be written", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(data)
	}
}
