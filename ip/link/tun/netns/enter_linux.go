package netns

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// marker tells a re-executed program that it is one: it names the network
// namespace of the first process. It is taken out of the environment at once,
// so that programs which the second starts do not inherit it.
const marker = "GONETX_NETNS_PARENT"

// inside tells that this process is the second one: it stays where it is.
var inside atomic.Bool

// Enter re-executes the program in namespaces of its own, once: as root in a
// new network and mount namespace, otherwise in a new user namespace as well,
// where the user is root. It returns nil in the new process, with lo up and
// mounts private. The first process waits, passes signals on, and ends with
// the exit code of the second; there Enter returns only when it fails, with an
// [Error], and nothing has changed.
//
// Call it first thing in main or TestMain: what the program did before, it
// does twice. In the new process a further call changes nothing.
func Enter() error {
	here, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return &Error{Step: "see the network namespace", Cause: NotInKernel, Err: err}
	}
	if parent := os.Getenv(marker); parent != "" {
		if err := os.Unsetenv(marker); err != nil {
			return err
		}
		if parent != here { // or somebody set the variable by hand
			err := furnish()
			inside.Store(err == nil)
			return err
		}
	}
	for _, arg := range os.Args {
		if strings.HasPrefix(arg, "-test.fuzzworker") {
			return &Error{Step: "re-execute the program", Cause: FuzzWorker}
		}
	}
	if inside.Load() {
		return nil
	}
	code, err := reexecute(here)
	if err != nil {
		return err
	}
	os.Exit(code)
	return nil
}

func reexecute(here string) (code int, err error) {
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	// The parent-death signal is sent when this thread ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)

	f := readFacts()
	privileged := f.has(unix.CAP_SYS_ADMIN) && f.has(unix.CAP_NET_ADMIN)
	cmd := child(program, here, privileged)
	err = cmd.Start()
	if err != nil && privileged {
		// Root in a container may be refused the plain namespaces and yet
		// allowed a user namespace that has them.
		refusal := f.refused("make a network namespace", unix.CAP_SYS_ADMIN, err)
		cmd = child(program, here, false)
		if err = cmd.Start(); err != nil {
			return 0, refusal
		}
	}
	if err != nil {
		return 0, f.refusedUser(err)
	}
	ended := make(chan struct{})
	go pass(signals, cmd.Process, ended)
	err = cmd.Wait()
	close(ended)

	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}

// pass hands signals on to the process until it has ended.
func pass(signals <-chan os.Signal, to *os.Process, ended <-chan struct{}) {
	for {
		select {
		case s := <-signals:
			_ = to.Signal(s)
		case <-ended:
			return
		}
	}
}

func child(program, here string, privileged bool) *exec.Cmd {
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), marker+"="+here)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
	}
	if !privileged {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}

// furnish makes the new namespaces fit to live in. That it works is the proof
// that the capabilities are there: where AppArmor restricts user namespaces,
// the clone succeeds and this does not.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return Refused("make the mounts private", unix.CAP_SYS_ADMIN, err)
	}
	return LoopbackUp()
}

// LoopbackUp brings lo up in the namespace of the calling thread.
func LoopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	return Refused("bring lo up", unix.CAP_NET_ADMIN, err)
}
