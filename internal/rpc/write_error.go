package rpc

import (
	"net/http"

	"connectrpc.com/connect"

	"github.com/intime-solutions/intime/internal/platform/apierr"
)

// writeError answers with an error outside of a connect handler, in the protocol that the request speaks; as JSON where it
// speaks none.
func writeError(w http.ResponseWriter, r *http.Request, e *apierr.Error) {
	w.Header().Set("Cache-Control", "no-store")
	// Nobody is left to tell where writing fails.
	_ = connect.NewErrorWriter().Write(w, r, inShape(r.Context(), e))
}
