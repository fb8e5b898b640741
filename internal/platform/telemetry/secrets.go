package telemetry

import (
	"regexp"
	"strings"
)

// Removed stands in the place of a secret.
const Removed = "[removed]"

// SecretKey says whether what is stored under a key of this name is a secret, or a body, by the name alone.
func SecretKey(key string) bool {
	key = strings.ToLower(key)
	for _, part := range []string{
		"password", "passwd", "secret", "authorization", "cookie", "dsn", "credential", "private_key", "api_key", "apikey",
	} {
		if strings.Contains(key, part) {
			return true
		}
	}
	switch key {
	case "token", "body", "payload", "jwt", "database_url", "connection_string":
		return true
	}
	// "page_token" too: it tells where in which list somebody was.
	return strings.HasSuffix(key, "_token") || strings.HasSuffix(key, "-token")
}

var (
	emailPattern = regexp.MustCompile(`[A-Za-z0-9._%+-]+@([A-Za-z0-9-]+\.)+[A-Za-z]{2,}`)
	// user:password@ in an address; the password may contain an @, the host may not.
	urlPasswordPattern = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]*):[^\s/]*@`)
	// password=… as in Postgres's key=value strings, quoted or not.
	keyPasswordPattern = regexp.MustCompile(`(?i)\b(password|passwd|pwd|secret|token)(\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&;,]+)`)
	bearerPattern      = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]+`)
	jwtPattern         = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`)
)

// Text returns the text without what a log must not hold: e-mail addresses shortened to two characters and the domain,
// passwords of connection strings, bearer tokens and JWTs removed.
func Text(text string) string {
	// Most texts have none of these characters.
	if !strings.ContainsAny(text, "@=. ") {
		return text
	}
	text = urlPasswordPattern.ReplaceAllString(text, "${1}:"+Removed+"@")
	text = keyPasswordPattern.ReplaceAllString(text, "${1}${2}"+Removed)
	text = bearerPattern.ReplaceAllString(text, "${1} "+Removed)
	text = jwtPattern.ReplaceAllString(text, Removed)
	return emailPattern.ReplaceAllStringFunc(text, shortenEmail)
}

func shortenEmail(email string) string {
	local, domain, _ := strings.Cut(email, "@")
	return local[:min(2, len(local))] + "…@" + domain
}
