package auth_test

import (
	"testing"

	"github.com/intime-solutions/intime/internal/apptest"
)

func TestMain(m *testing.M) { apptest.Main(m) }
