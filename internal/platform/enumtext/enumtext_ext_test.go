package enumtext_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	eventv1 "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	"github.com/intime-solutions/intime/internal/platform/enumtext"
)

func TestEnumtext(t *testing.T) {
	t.Parallel()
	require.Equal(t, "dead_letter", enumtext.Name(eventv1.EventStatus_EVENT_STATUS_DEAD_LETTER))
	require.Equal(t, eventv1.EventStatus_EVENT_STATUS_DEAD_LETTER, enumtext.Value[eventv1.EventStatus]("dead_letter"))
	require.Equal(t, eventv1.EventStatus_EVENT_STATUS_UNSPECIFIED, enumtext.Value[eventv1.EventStatus]("from_a_newer_program"))
	require.Empty(t, enumtext.Name(eventv1.EventStatus(99)))
	require.Equal(t, []string{"pending", "processed", "failed", "dead_letter"}, enumtext.Names[eventv1.EventStatus]())
	for _, name := range enumtext.Names[eventv1.AttemptOutcome]() {
		require.Equal(t, name, enumtext.Name(enumtext.Value[eventv1.AttemptOutcome](name)))
	}
}
