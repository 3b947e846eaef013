package netns

import (
	"bufio"
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The facts of a process that decide which cause a refusal has. They are read
// from /proc, where a container cannot hide them.
type facts struct {
	seccomp      bool // a filter is in force
	capabilities uint64
	appArmor     bool // unprivileged user namespaces are restricted (Ubuntu 23.10 and later)
	confined     bool // by an AppArmor profile
	userClone    bool // the switch of Debian kernels
	maxUser      bool // user namespaces are not limited to none
}

func readFacts() facts {
	status := procStatus("/proc/thread-self/status")
	capabilities, _ := strconv.ParseUint(status["CapEff"], 16, 64)
	profile, _ := os.ReadFile("/proc/thread-self/attr/current")
	return facts{
		seccomp:      status["Seccomp"] == "2" || status["Seccomp"] == "1",
		capabilities: capabilities,
		appArmor:     sysctl("kernel/apparmor_restrict_unprivileged_userns", "0") != "0",
		confined:     strings.Contains(string(profile), "(enforce)"),
		userClone:    sysctl("kernel/unprivileged_userns_clone", "1") != "0",
		maxUser:      sysctl("user/max_user_namespaces", "1") != "0",
	}
}

func procStatus(path string) map[string]string {
	fields := map[string]string{}
	f, err := os.Open(path)
	if err != nil {
		return fields
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			fields[name] = strings.TrimSpace(value)
		}
	}
	return fields
}

func sysctl(name, otherwise string) string {
	b, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return otherwise
	}
	return strings.TrimSpace(string(b))
}

func (f facts) has(capability uint) bool { return f.capabilities&(1<<capability) != 0 }

// Refused explains the error of a system call that wants the capability, one
// of unix.CAP_…, in the step. Nil stays nil.
func Refused(step string, capability uint, err error) error {
	if err == nil {
		return nil
	}
	return readFacts().refused(step, capability, err)
}

func (f facts) refused(step string, capability uint, err error) *Error {
	e := &Error{Step: step, Cause: Unknown, Err: err}
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		e.Cause = NotInKernel
		if errors.Is(err, unix.ENOSYS) && f.seccomp {
			e.Cause = Seccomp
		}
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EUSERS), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOMEM):
		e.Cause, e.Hint = Limit, "see /proc/sys/user"
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		e.Cause, e.Hint = f.denied(capability)
	}
	return e
}

// denied tells the cause of EPERM. With the capability, only a filter or a
// profile can have refused.
func (f facts) denied(capability uint) (Cause, string) {
	switch {
	case f.has(capability) && f.confined:
		return AppArmor, "the profile of the process forbids it, see /proc/self/attr/current"
	case f.has(capability) && f.appArmor:
		return AppArmor, "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile that allows userns"
	case f.has(capability) && f.seccomp:
		return Seccomp, "in a container: --security-opt seccomp=unconfined, or run as root with --cap-add NET_ADMIN"
	case f.has(capability):
		return Unknown, ""
	case f.confined:
		return AppArmor, "the profile of the process forbids it, see /proc/self/attr/current"
	}
	return Capability, "run as root, or in a user namespace of its own"
}

// refusedUser explains a user namespace that could not be made, which needs no
// capability.
func (f facts) refusedUser(err error) *Error {
	const step = "make a user namespace"
	e := f.refused(step, unix.CAP_SYS_ADMIN, err)
	if errors.Is(err, unix.EINVAL) {
		e.Cause, e.Hint = NotInKernel, "the kernel is built without CONFIG_USER_NS"
	}
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		if e.Cause == Limit && !f.maxUser {
			e.Hint = "sysctl user.max_user_namespaces is 0"
		}
		return e
	}
	switch {
	case !f.userClone:
		e.Cause, e.Hint = Limit, "sysctl kernel.unprivileged_userns_clone=1"
	case f.appArmor || f.confined:
		e.Cause, e.Hint = AppArmor, "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile that allows userns"
	case f.seccomp:
		e.Cause, e.Hint = Seccomp, "in a container: --security-opt seccomp=unconfined, or run as root with --cap-add NET_ADMIN,SYS_ADMIN"
	default:
		e.Cause, e.Hint = Unknown, "a chroot or a security module may be the reason"
	}
	return e
}
