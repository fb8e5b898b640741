package mail

import (
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"path"
	"strings"
	texttemplate "text/template"
)

// Content is what a mail says, in both forms.
type Content struct{ Subject, Text, HTML string }

// Template is a mail with blanks. Its file <name>.txt begins with the subject line and an empty line; <name>.html is the
// same for programs that show HTML, with everything that is filled in escaped.
type Template struct {
	text *texttemplate.Template
	html *htmltemplate.Template
}

// ParseTemplate reads the two files of a template; name is their path without the ending.
func ParseTemplate(files fs.FS, name string) (*Template, error) {
	text, err := texttemplate.New(path.Base(name)+".txt").Option("missingkey=error").ParseFS(files, name+".txt")
	if err != nil {
		return nil, fmt.Errorf("parse mail template: %w", err)
	}
	html, err := htmltemplate.New(path.Base(name)+".html").Option("missingkey=error").ParseFS(files, name+".html")
	if err != nil {
		return nil, fmt.Errorf("parse mail template: %w", err)
	}
	return &Template{text: text, html: html}, nil
}

// Render fills the blanks.
func (t *Template) Render(data any) (Content, error) {
	var text, html strings.Builder
	if err := t.text.Execute(&text, data); err != nil {
		return Content{}, fmt.Errorf("render mail: %w", err)
	}
	if err := t.html.Execute(&html, data); err != nil {
		return Content{}, fmt.Errorf("render mail: %w", err)
	}
	subject, body, ok := strings.Cut(text.String(), "\n\n")
	if !ok {
		return Content{}, fmt.Errorf("render mail: %s has no subject line", t.text.Name())
	}
	// A subject is one line, whatever was filled in: a second one would be a header.
	subject = strings.Join(strings.Fields(subject), " ")
	return Content{Subject: subject, Text: body, HTML: html.String()}, nil
}
