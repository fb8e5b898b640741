package eventbus

// DurationBounds are the bounds of the histograms, for comparing them with the database's.
func DurationBounds() []float64 { return durationBounds[:] }
