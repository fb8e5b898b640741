package app_test

import (
	"os"
	"testing"

	"github.com/intime-solutions/intime/internal/apptest"
)

// workerSettings is set in a process that is to be a worker and not a test: see startWorker.
const workerSettings = "INTIME_TEST_WORKER"

func TestMain(m *testing.M) {
	if settings := os.Getenv(workerSettings); settings != "" {
		beWorker(settings)
		return
	}
	apptest.Main(m)
}
