package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace that this process holds open.
type Namespace struct{ file *os.File }

// New makes a network namespace with lo up. It ends when the last of these is
// gone: the Namespace, and every device descriptor and process in it.
func New() (*Namespace, error) {
	var n *Namespace
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return Refused("make a network namespace", unix.CAP_SYS_ADMIN, err)
		}
		if err := LoopbackUp(); err != nil {
			return err
		}
		var err error
		n, err = Open("/proc/thread-self/ns/net")
		return err
	})
	return n, err
}

// Open opens the namespace at path: "/run/netns/NAME" as `ip netns add` makes
// them, or "/proc/PID/ns/net".
func Open(path string) (*Namespace, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the network namespace: %w", err)
	}
	return &Namespace{file}, nil
}

// Do runs f in the namespace, on a thread of its own, and answers what f
// answers. What f opens stays in the namespace: sockets, devices. A goroutine
// or, with a parent-death signal, a process that f starts does not: the thread
// ends with f.
func (n *Namespace) Do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return refusedEntry(n.file.Name(), err)
		}
		return f()
	})
}

// refusedEntry explains a namespace that may not be entered. A user namespace of
// one's own does not help: the capability is wanted in the namespace's.
func refusedEntry(name string, err error) error {
	err = Refused("enter the network namespace "+name, unix.CAP_SYS_ADMIN, err)
	var e *Error
	if errors.As(err, &e) && e.Cause == Capability {
		e.Hint = "run as root"
	}
	return err
}

// Path names the namespace for as long as it is not closed, for this process
// and others.
func (n *Namespace) Path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd())
}

// Close gives the namespace up.
func (n *Namespace) Close() error { return n.file.Close() }

// errAborted is the answer for a function that ended its goroutine, as
// testing's FailNow does.
var errAborted = errors.New("the function in the namespace did not return")

// onThread runs f on a thread that the Go runtime throws away afterwards,
// because the goroutine ends without unlocking it: so a namespace that f
// entered can never leak into other goroutines.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := errAborted
		defer func() { done <- err }()
		err = f()
	}()
	return <-done
}
