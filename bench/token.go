package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

const (
	tokenIssuer   = "http://issuer.bench.invalid" //nolint:gosec // a name, no secret
	tokenAudience = "authenticated"
)

// tokenClaims are what a person's token says.
type tokenClaims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Role     string `json:"role"`
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

var errToken = errors.New("the token is not valid")

func newSecret() string { return rand.Text() + rand.Text() }

// signToken makes a token of person n that is good for so long.
func signToken(secret string, n int, lasting time.Duration) string {
	now := time.Now()
	claims, err := json.Marshal(tokenClaims{
		Issuer: tokenIssuer, Subject: personID(n).String(), Audience: tokenAudience, Role: "authenticated",
		IssuedAt: now.Add(-2 * time.Hour).Unix(), Expires: now.Add(lasting).Unix(),
	})
	if err != nil {
		panic(err) // a struct of texts and numbers
	}
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(claims)
	return text + "." + encode(digest(secret, text))
}

// verifyToken is what the bare server does: the signature, the issuer, the audience and the expiry.
func verifyToken(secret, token string) (tokenClaims, error) {
	var claims tokenClaims
	end := strings.LastIndexByte(token, '.')
	if end < 0 {
		return claims, errToken
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[end+1:])
	if err != nil || !hmac.Equal(signature, digest(secret, token[:end])) {
		return claims, errToken
	}
	_, payload, _ := strings.Cut(token[:end], ".")
	data, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || json.Unmarshal(data, &claims) != nil {
		return claims, errToken
	}
	if claims.Issuer != tokenIssuer || claims.Audience != tokenAudience || claims.Expires <= time.Now().Unix() {
		return claims, errToken
	}
	return claims, nil
}

func digest(secret, text string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
