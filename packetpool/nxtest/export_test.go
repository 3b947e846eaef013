package nxtest

import "time"

// WithPatience calls f while [Full] has another patience.
func WithPatience(d time.Duration, f func()) {
	before := patience
	defer func() { patience = before }()
	patience = d
	f()
}
