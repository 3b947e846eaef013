// Package netns runs a program in network namespaces of its own, without
// privilege where the system allows it, and says why where it does not.
//
// [Enter] is for a whole program or test binary: it re-executes itself once,
// as root of a network that nobody else sees, and everything it makes there is
// gone with the process, however that dies.
//
//	func main() {
//		if err := netns.Enter(); err != nil {
//			log.Fatal(err) // says what refuses: seccomp, AppArmor, a limit, …
//		}
//		// lo is up; a TUN device, routes and addresses are ours to make
//	}
//
// [New] makes a further namespace inside one process, and [Namespace.Do] works
// in it: a router between two hosts is three of them.
//
// What is possible is found out by doing it. An [Error] names the step, the
// [Cause], and what to do about it.
package netns

import "fmt"

// Cause is why the system refuses something. Causes are errors, so that
// errors.Is(err, netns.Seccomp) holds for an [Error].
type Cause string

const (
	Seccomp       Cause = "a seccomp filter refuses it"
	AppArmor      Cause = "AppArmor refuses it"
	Limit         Cause = "a limit of the system refuses it"
	NotInKernel   Cause = "the kernel does not have it"
	Capability    Cause = "the process has not the capability for it"
	DeviceMissing Cause = "/dev/net/tun is missing"
	DeviceClosed  Cause = "/dev/net/tun may not be opened by this user"
	FuzzWorker    Cause = "a fuzz worker is not re-executed"
	NotLinux      Cause = "network namespaces are a thing of Linux"
	Unknown       Cause = "the system refuses it and does not say why"
)

// Error implements error.
func (c Cause) Error() string { return string(c) }

// Error is a refusal.
type Error struct {
	Step  string // what was tried
	Cause Cause
	Hint  string // what to do about it; empty when there is nothing to say
	Err   error  // of the system call
}

// Error answers "step: cause (errno); hint".
func (e *Error) Error() string {
	s := e.Step + ": " + string(e.Cause)
	if e.Err != nil {
		s += fmt.Sprintf(" (%v)", e.Err)
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap shows the cause and the error of the system.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Cause}
	}
	return []error{e.Cause, e.Err}
}
