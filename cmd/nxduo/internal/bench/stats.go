package bench

import "slices"

// median is the middle of the values; of an even number the mean of the two in
// the middle. There must be one.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
