package main

import (
	"errors"
	"os"

	"gonetx/ip/link"
	"gonetx/ip/link/capture"
	"gonetx/packetpool/nx"
)

// capturing puts a capture around a driver and a recorder, when a file is
// named. stop completes the file; the instance must be gone by then.
func capturing(path string, driver link.Driver, recorder nx.Recorder) (link.Driver, nx.Recorder, func() error, error) {
	if path == "" {
		return driver, recorder, func() error { return nil }, nil
	}
	to, err := os.Create(path)
	if err != nil {
		return nil, nil, nil, &failure{code: exitUsage, what: "the capture file", err: err}
	}
	file := capture.NewFile(to)
	wrapped := file.Wrap(driver)
	stop := func() error {
		if err := errors.Join(file.Close(), to.Close()); err != nil {
			return &failure{code: exitOther, what: "the capture is not complete", err: err}
		}
		return nil
	}
	return wrapped, wrapped.Recorder(recorder), stop, nil
}
