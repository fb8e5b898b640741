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
	subject *texttemplate.Template
	text    *texttemplate.Template
	html    *htmltemplate.Template
}

// ParseTemplate reads the two files of a template; name is their path without the ending.
func ParseTemplate(files fs.FS, name string) (*Template, error) {
	source, err := fs.ReadFile(files, name+".txt")
	if err != nil {
		return nil, fmt.Errorf("read mail template: %w", err)
	}
	// Cut before anything is filled in: an empty line in what is filled in cuts nothing.
	subject, body, ok := strings.Cut(strings.ReplaceAll(string(source), "\r\n", "\n"), "\n\n")
	if !ok {
		return nil, fmt.Errorf("parse mail template: %s.txt has no subject line", name)
	}
	t := &Template{}
	if t.subject, err = texttemplate.New(name + " subject").Option("missingkey=error").Parse(subject); err != nil {
		return nil, fmt.Errorf("parse mail template: %w", err)
	}
	if t.text, err = texttemplate.New(name + ".txt").Option("missingkey=error").Parse(body); err != nil {
		return nil, fmt.Errorf("parse mail template: %w", err)
	}
	if t.html, err = htmltemplate.New(path.Base(name)+".html").Option("missingkey=error").ParseFS(files, name+".html"); err != nil {
		return nil, fmt.Errorf("parse mail template: %w", err)
	}
	return t, nil
}

// Render fills the blanks.
func (t *Template) Render(data any) (Content, error) {
	var subject, text, html strings.Builder
	if err := t.subject.Execute(&subject, data); err != nil {
		return Content{}, fmt.Errorf("render mail: %w", err)
	}
	if err := t.text.Execute(&text, data); err != nil {
		return Content{}, fmt.Errorf("render mail: %w", err)
	}
	if err := t.html.Execute(&html, data); err != nil {
		return Content{}, fmt.Errorf("render mail: %w", err)
	}
	// A subject is one line, whatever was filled in: a second one would be a header.
	return Content{Subject: strings.Join(strings.Fields(subject.String()), " "), Text: text.String(), HTML: html.String()}, nil
}
