package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	jose "github.com/go-jose/go-jose/v4"
)

const (
	keyFile  = "issuer-key.pem"
	pemBlock = "PRIVATE KEY"
)

// loadOrCreateKey reads the key in the folder and makes it first where there is none.
func loadOrCreateKey(folder string) (*ecdsa.PrivateKey, error) {
	path := filepath.Join(folder, keyFile)
	key, err := loadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := createKey(folder, path); err != nil {
		return nil, fmt.Errorf("make the built-in issuer's key: %w", err)
	}
	// Another process may have been first: what is in the file counts, not what was made here.
	return loadKey(path)
}

func loadKey(path string) (*ecdsa.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("find the built-in issuer's key: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("everybody on this machine can read the key %s: run chmod 600 on it", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the built-in issuer's key: %w", err)
	}
	broken := fmt.Errorf("the key %s is damaged: restore it, or delete it to have a new one made (everybody then signs in again)", path)
	block, _ := pem.Decode(data)
	if block == nil || block.Type != pemBlock {
		return nil, broken
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, broken
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, broken
	}
	return key, nil
}

// createKey makes a key and puts it at the path, unless something is there already. The file appears complete or not at
// all: a link fails where the name is taken, and a rename would not.
func createKey(folder, path string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(folder, keyFile+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	err = errors.Join(pem.Encode(temporary, &pem.Block{Type: pemBlock, Bytes: encoded}), temporary.Sync(), temporary.Close())
	if err != nil {
		return err
	}
	if err := os.Link(temporary.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// keyID names a key by its RFC 7638 thumbprint, so that the name changes with the key.
func keyID(public jose.JSONWebKey) (string, error) {
	sum, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
