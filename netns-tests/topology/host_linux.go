package topology

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"gonetx/ip/link/tun/netns"

	"golang.org/x/sys/unix"
)

// Host is one network namespace of a topology.
type Host struct {
	Name      string
	namespace *netns.Namespace
	starts    chan func() // to the host's thread; closed by Close
	ended     chan struct{}

	mu       sync.Mutex // guards the field below
	programs []*exec.Cmd
}

// newHost makes a namespace in which only lo is up.
func newHost(name string) (*Host, error) {
	ns, err := netns.New()
	if err != nil {
		return nil, fmt.Errorf("namespace for the %s: %w", name, err)
	}
	h := &Host{Name: name, namespace: ns, starts: make(chan func()), ended: make(chan struct{})}
	entered := make(chan error)
	go h.keep(entered)
	if err := <-entered; err != nil {
		_ = ns.Close()
		return nil, err
	}
	return h, nil
}

// keep is the host's thread. Programs are started from it, because the kernel
// kills a child with a parent-death signal when the thread that started it
// ends: this one lives until Close or the end of the process.
func (h *Host) keep(entered chan<- error) {
	defer close(h.ended)
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	ns, err := os.Open(h.Path())
	if err == nil {
		err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		_ = ns.Close()
	}
	if err == nil {
		err = noDAD()
	}
	entered <- err
	if err != nil {
		return
	}
	for start := range h.starts {
		start()
	}
}

// Path names the namespace while the host stands: for tun.Config.Namespace,
// and for other processes of the same user.
func (h *Host) Path() string { return h.namespace.Path() }

// Do runs f in the host's namespace, on a thread of its own. Sockets and
// devices that f opens stay there.
func (h *Host) Do(f func() error) error { return h.namespace.Do(f) }

// Listen opens a listener on the host: "10.79.0.2:25", ":0".
func (h *Host) Listen(address string) (net.Listener, error) {
	var l net.Listener
	err := h.Do(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	return l, err
}

// Start starts a program on the host, in a process namespace of its own: when
// it ends, whatever it started ends too, and so it does when this process
// dies. The caller may Wait for it; Close kills it.
func (h *Host) Start(program *exec.Cmd) error {
	if program.SysProcAttr == nil {
		program.SysProcAttr = &syscall.SysProcAttr{}
	}
	program.SysProcAttr.Cloneflags |= unix.CLONE_NEWPID
	program.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started := make(chan error)
	h.starts <- func() { started <- program.Start() }
	if err := <-started; err != nil {
		return fmt.Errorf("start %s on the %s: %w", program.Path, h.Name, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.programs = append(h.programs, program)
	return nil
}

// Close kills the host's programs and gives the namespace up.
func (h *Host) Close() error {
	h.mu.Lock()
	for _, p := range h.programs {
		_ = p.Process.Kill() // it may have ended
		_ = p.Wait()         // the caller may have waited
	}
	h.programs = nil
	h.mu.Unlock()
	close(h.starts)
	<-h.ended
	return h.namespace.Close()
}

// noDAD makes link-local addresses valid at once; the first neighbour
// solicitation would wait a second or two for them.
func noDAD() error {
	return errors.Join(sysctl("net/ipv6/conf/all/accept_dad", "0"), sysctl("net/ipv6/conf/default/accept_dad", "0"))
}

// sysctl sets a kernel parameter of the namespace of the calling thread.
func sysctl(path, value string) error {
	err := os.WriteFile("/proc/sys/"+path, []byte(value), 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil // the family or the feature is not there
	}
	return err
}
