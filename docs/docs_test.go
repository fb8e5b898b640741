// Package docs_test keeps the documents true: what they list is compared with the program and the database, what they
// link to and name has to exist. `go test ./docs -update` writes the generated tables anew.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
)

// root is the project, seen from this folder.
const root = ".."

func TestMain(m *testing.M) {
	if isCurl() {
		if err := curl(os.Args[1:]); err != nil {
			panic(err)
		}
		return
	}
	apptest.Main(m)
}

// documents returns the Markdown files of the project by their path from the root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		for _, path := range found {
			name, err := filepath.Rel(root, path)
			require.NoError(t, err)
			texts[filepath.ToSlash(name)] = read(t, path)
		}
	}
	require.Contains(t, texts, "README.md")
	return texts
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func TestReadme_IsShort(t *testing.T) {
	t.Parallel()
	lines := strings.Count(documents(t)["README.md"], "\n")
	require.LessOrEqual(t, lines, 120)
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	notSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	fenced  = regexp.MustCompile("(?ms)^```.*?^```")
)

func TestLinks_Resolve(t *testing.T) {
	t.Parallel()
	texts := documents(t)
	for name, text := range texts {
		for _, match := range link.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := name
			if target != "" {
				path = filepath.ToSlash(filepath.Join(filepath.Dir(name), target))
			}
			_, err := os.Stat(filepath.Join(root, path))
			require.NoError(t, err, "%s links to %s", name, match[1])
			if anchor != "" {
				require.Contains(t, anchors(texts[path]), anchor, "%s links to %s", name, match[1])
			}
		}
	}
}

// anchors are the names that Markdown's headings can be linked by.
func anchors(text string) []string {
	var all []string
	for _, match := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		slug := notSlug.ReplaceAllString(strings.ToLower(match[1]), "")
		all = append(all, strings.ReplaceAll(slug, " ", "-"))
	}
	return all
}

var (
	makeTarget = regexp.MustCompile("(?m)(?:`|^)make ([a-z-]+)")
	command    = regexp.MustCompile("(?m)(?:bin/|`)intime ([a-z-]+)(?: ([a-z]+)\\b)?")
	testName   = regexp.MustCompile(`\bTest[A-Z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*`)
)

func TestCommands_Exist(t *testing.T) {
	t.Parallel()
	makefile := read(t, filepath.Join(root, "Makefile"))
	known := commandNames(t)
	for name, text := range documents(t) {
		for _, match := range makeTarget.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(makefile, "\n"+match[1]+":") {
				t.Errorf("%s names make %s, which is no target", name, match[1])
			}
		}
		for _, match := range command.FindAllStringSubmatch(text, -1) {
			whole := strings.TrimSpace(match[1] + " " + match[2])
			if !known[whole] && match[1] != "migrate" {
				whole = match[1]
			}
			require.True(t, known[whole], "%s names intime %s, which is no command", name, whole)
		}
	}
}

func TestTests_Exist(t *testing.T) {
	t.Parallel()
	source := testSources(t)
	for name, text := range documents(t) {
		for _, test := range testName.FindAllString(text, -1) {
			if !strings.Contains(source, "func "+test+"(") {
				t.Errorf("%s names %s, which is no test", name, test)
			}
		}
	}
}

// testSources is the text of every Go test of the project.
func testSources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	eachFile(t, "_test.go", func(path string) { all.WriteString(read(t, path)) })
	return all.String()
}

var (
	reasonConst = regexp.MustCompile(`\bReason[A-Z][A-Za-z]*\s+= "([A-Z_]+)"`)
	reasonRow   = regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\|")
)

func TestReasons_AreListed(t *testing.T) {
	t.Parallel()
	inCode, inDocument := map[string]bool{}, map[string]bool{}
	eachFile(t, ".go", func(path string) {
		for _, match := range reasonConst.FindAllStringSubmatch(read(t, path), -1) {
			inCode[match[1]] = true
		}
	})
	for _, match := range reasonRow.FindAllStringSubmatch(documents(t)["docs/architecture/api-design.md"], -1) {
		inDocument[match[1]] = true
	}
	require.Equal(t, inCode, inDocument)
}

func eachFile(t *testing.T, suffix string, visit func(path string)) {
	t.Helper()
	for _, folder := range []string{"cmd", "internal", "docs", "web", "bench"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() && entry.Name() == "node_modules" {
				return fs.SkipDir
			}
			if !entry.IsDir() && strings.HasSuffix(path, suffix) {
				visit(path)
			}
			return nil
		})
		require.NoError(t, err)
	}
}
