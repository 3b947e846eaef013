package main

import (
	"errors"
	"os"

	"gonetx/ip/link"
	"gonetx/ip/link/capture"
	"gonetx/packetpool/nx"
)

// capturing puts a capture around a driver and a recorder, when a file is
// named. stop completes the file, or takes it away when the link never opened;
// the instance must be gone by then.
func capturing(path string, driver link.Driver, recorder nx.Recorder) (link.Driver, nx.Recorder, func() error, error) {
	if path == "" {
		return driver, recorder, func() error { return nil }, nil
	}
	to, err := os.Create(path)
	if err != nil {
		return nil, nil, nil, &failure{code: exitUsage, what: "the capture file", err: err}
	}
	file := capture.NewFile(to)
	opened := &opening{Driver: driver}
	wrapped := file.Wrap(opened)
	stop := func() error {
		if err := errors.Join(file.Close(), to.Close()); err != nil {
			return &failure{code: exitOther, what: "the capture is not complete", err: err}
		}
		if info, err := os.Stat(path); !opened.done && err == nil && info.Mode().IsRegular() {
			return os.Remove(path)
		}
		return nil
	}
	return wrapped, wrapped.Recorder(recorder), stop, nil
}

// opening is a driver of which is known whether it was opened.
type opening struct {
	link.Driver
	done bool
}

// Open implements link.Driver.
func (o *opening) Open(a link.Attachment) (link.Endpoint, error) {
	e, err := o.Driver.Open(a)
	o.done = o.done || err == nil
	return e, err
}
