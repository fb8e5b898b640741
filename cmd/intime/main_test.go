package main

import (
	"os"
	"testing"

	"github.com/intime-solutions/intime/internal/apptest"
)

// asProgram is set in a process that is to be the program and not a test: see process.
const asProgram = "INTIME_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	apptest.Main(m)
}
