package docs_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pathWithCurl returns the PATH for the tour's lines. Behind what the machine has stands this test's program under the name
// curl, which does as much of it as the tour needs: the tour is tried on a machine without curl too.
func pathWithCurl(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	folder := t.TempDir()
	require.NoError(t, os.Symlink(self, filepath.Join(folder, "curl")))
	return "PATH=" + os.Getenv("PATH") + string(os.PathListSeparator) + folder
}

func isCurl() bool { return filepath.Base(os.Args[0]) == "curl" }

// curl posts what -d gives to the address, with the headers of -H, and prints the answer.
func curl(args []string) error {
	var (
		address, data string
		header        = http.Header{}
	)
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "-s":
		case "-H":
			i++
			name, value, _ := strings.Cut(args[i], ": ")
			header.Set(name, value)
		case "-d":
			i++
			data = args[i]
		default:
			address = args[i]
		}
	}
	request, err := http.NewRequest(http.MethodPost, address, strings.NewReader(data)) //nolint:noctx // ends with its program
	if err != nil {
		return err
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}
