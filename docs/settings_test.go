package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/platform/config"
)

// setting is a flag of the program and the commands that have it.
type setting struct {
	flag, env, value, help string
	commands               []string
}

// settings is the table of every flag and environment variable.
func settings(t *testing.T) string {
	t.Helper()
	shared := map[string][]*setting{
		"config.Config": flagsOf(t, &config.Config{}),
		"config.Log": flagsOf(t, &struct {
			config.Log `embed:"" prefix:"log-"`
		}{}),
		"config.Server":  flagsOf(t, &config.Server{}),
		"config.Worker":  flagsOf(t, &config.Worker{}),
		"config.Metrics": flagsOf(t, &config.Metrics{}),
	}
	var all []*setting
	add := func(command string, more []*setting) {
		for _, s := range more {
			i := slices.IndexFunc(all, func(known *setting) bool { return known.flag == s.flag })
			if i < 0 {
				all, i = append(all, s), len(all)
			}
			if !slices.Contains(all[i].commands, command) {
				all[i].commands = append(all[i].commands, command)
			}
		}
	}
	for _, c := range commandsOf(t) {
		for _, field := range c.fields {
			if more, ok := shared[field.kind]; ok {
				add(c.family(), more)
			} else if s := field.setting(); s != nil {
				add(c.family(), []*setting{s})
			}
		}
	}
	b := table("flag", "environment variable", "default", "commands", "what it says")
	for _, s := range all {
		row(b, code("--"+s.flag), code(s.env), code(s.value), strings.Join(s.commands, ", "), s.help)
	}
	return b.String()
}

func code(text string) string {
	if text == "" {
		return "–"
	}
	return "`" + text + "`"
}

func flagsOf(t *testing.T, grammar any) []*setting {
	t.Helper()
	parser, err := kong.New(grammar)
	require.NoError(t, err)
	var all []*setting
	for _, f := range parser.Model.Flags {
		if f.Name != "help" {
			all = append(all, &setting{flag: f.Name, env: strings.Join(f.Envs, ""), value: f.Default, help: f.Help})
		}
	}
	return all
}

// programCommand is a command of cmd/intime, as its source has it.
type programCommand struct {
	name   string
	fields []programField
}

// family is the first word of the command: the commands of one family have the same settings.
func (c programCommand) family() string { return strings.Fields(c.name)[0] }

type programField struct {
	name, kind string
	tag        reflect.StructTag
}

func (f programField) setting() *setting {
	_, isArgument := f.tag.Lookup("arg")
	_, isCommand := f.tag.Lookup("cmd")
	if isArgument || isCommand || f.tag.Get("help") == "" {
		return nil
	}
	name := f.tag.Get("name")
	if name == "" {
		name = kebab(f.name)
	}
	return &setting{flag: name, env: f.tag.Get("env"), value: f.tag.Get("default"), help: f.tag.Get("help")}
}

func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		startsWord := i > 0 && r < 'a' && (name[i-1] >= 'a' || i+1 < len(name) && name[i+1] >= 'a')
		if startsWord {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

// commandsOf reads the commands from the source of cmd/intime: a program cannot be imported.
func commandsOf(t *testing.T) []programCommand {
	t.Helper()
	structs := map[string][]programField{}
	files, err := filepath.Glob(filepath.Join(root, "cmd", "intime", "*.go"))
	require.NoError(t, err)
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(node ast.Node) bool {
			if spec, ok := node.(*ast.TypeSpec); ok {
				if body, ok := spec.Type.(*ast.StructType); ok {
					structs[spec.Name.Name] = fieldsOf(body)
				}
			}
			return true
		})
	}
	var all []programCommand
	var walk func(prefix, kind string)
	walk = func(prefix, kind string) {
		for _, field := range structs[kind] {
			if _, ok := field.tag.Lookup("cmd"); ok {
				name := strings.TrimSpace(prefix + " " + kebab(field.name))
				all = append(all, programCommand{name: name, fields: structs[field.kind]})
				walk(name, field.kind)
			}
		}
	}
	walk("", "commands")
	require.NotEmpty(t, all)
	return all
}

func fieldsOf(body *ast.StructType) []programField {
	var all []programField
	for _, field := range body.Fields.List {
		f := programField{kind: kindOf(field.Type)}
		if field.Tag != nil {
			f.tag = reflect.StructTag(strings.Trim(field.Tag.Value, "`"))
		}
		if len(field.Names) > 0 {
			f.name = field.Names[0].Name
		}
		all = append(all, f)
	}
	return all
}

func kindOf(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return kindOf(e.X) + "." + e.Sel.Name
	default:
		return ""
	}
}

func commandNames(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, c := range commandsOf(t) {
		known[c.name] = true
	}
	return known
}
