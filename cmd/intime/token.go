package main

import (
	"fmt"
	"time"

	"github.com/intime-solutions/intime/internal/app"
	"github.com/intime-solutions/intime/internal/demo"
	"github.com/intime-solutions/intime/internal/platform/config"
)

type tokenCmd struct {
	config.Config

	PublicURL string        `env:"INTIME_PUBLIC_URL" help:"The address that the server was told of, where it was." placeholder:"URL"`
	TTL       time.Duration `default:"12h" help:"How long the token is good for."`
	Person    string        `arg:"" help:"The demo person's e-mail address, or a role such as admin."`
}

// Run prints the token alone, for $(…).
func (c tokenCmd) Run() error {
	person, ok := demo.Find(c.Person)
	if !ok {
		return fmt.Errorf("there is no demo person %q; intime dev lists them", c.Person)
	}
	dir, err := dataDir(c.Config)
	if err != nil {
		return err
	}
	issuer, err := app.NewLocalIssuer(config.Server{PublicURL: c.PublicURL}, dir)
	if err != nil {
		return err
	}
	token, _, err := issuer.Token(person.ID(), c.TTL)
	if err != nil {
		return err
	}
	_, err = fmt.Println(token)
	return err
}
