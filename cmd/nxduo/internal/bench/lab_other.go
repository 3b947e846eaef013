//go:build !linux

package bench

import (
	"context"
	"errors"
	"time"
)

var errLinux = errors.New("the benchmark needs network namespaces and TUN devices as Linux has them")

// Run answers an error: there are no network namespaces here.
func Run(context.Context, Options) (*Report, error) { return nil, errLinux }

// Soak answers an error: there are no network namespaces here.
func Soak(context.Context, SoakOptions) (*SoakReport, error) { return nil, errLinux }

// Scale answers an error: there are no network namespaces here.
func Scale(context.Context, ScaleOptions) (*ScaleReport, error) { return nil, errLinux }

// Enter answers an error: there are no network namespaces here.
func Enter() error { return errLinux }

func newNaive(part) (design, error) { return nil, errLinux }
func newBare(part) (design, error)  { return nil, errLinux }
func newNXDuo(part) (design, error) { return nil, errLinux }

func setCongestion(uintptr) error { return errLinux }

func lostBy(string) float64 { return 0 }

func cpuTime() time.Duration { return 0 }
func kernelVersion() string  { return "" }
