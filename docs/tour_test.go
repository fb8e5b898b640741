package docs_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/intime-solutions/intime/internal/apptest"
)

var (
	shell    = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")
	expected = regexp.MustCompile(`(?m)# → (.+)$`)
	aToken   = regexp.MustCompile(`\$\(bin/intime token ([^)]+)\)`)
	aWait    = regexp.MustCompile(`(?m)^sleep \d+\n(call .+?) +# → (\S+)$`)
)

// TestReadme_TourWorks runs the tour's calls by curl, as they stand there. What a line should answer is said behind "# →".
func TestReadme_TourWorks(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Options{Work: true, AllowFaults: true})
	var script strings.Builder
	for _, block := range shell.FindAllStringSubmatch(documents(t)["README.md"], -1) {
		if strings.Contains(block[1], "call ") {
			script.WriteString(block[1])
		}
	}
	text := aToken.ReplaceAllStringFunc(script.String(), func(found string) string {
		return env.Token(t, aToken.FindStringSubmatch(found)[1])
	})
	text = strings.Replace(text, "http://127.0.0.1:8080", env.URL, 1)
	// What takes a while is waited for here, however slow this machine is.
	text = aWait.ReplaceAllString(text, "until $1 | tee answer; grep -q '$2' answer; do sleep 0.2; done   # → $2")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "sh", "-euc", text)
	command.Dir, command.Env = t.TempDir(), append(os.Environ(), pathWithCurl(t))
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)

	rest := string(output)
	for _, want := range expected.FindAllStringSubmatch(text, -1) {
		_, after, found := strings.Cut(rest, want[1])
		require.True(t, found, "%q is missing in\n%s", want[1], rest)
		rest = after
	}
}
