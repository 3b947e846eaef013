//go:build !linux

package netns

// Namespace is a network namespace. There are none on this system.
type Namespace struct{}

// Enter answers an [Error] with the cause [NotLinux].
func Enter() error { return notLinux("re-execute the program") }

// New answers an [Error] with the cause [NotLinux].
func New() (*Namespace, error) { return nil, notLinux("make a network namespace") }

// Open answers an [Error] with the cause [NotLinux].
func Open(string) (*Namespace, error) { return nil, notLinux("open a network namespace") }

// Do answers an [Error] with the cause [NotLinux].
func (*Namespace) Do(func() error) error { return notLinux("enter a network namespace") }

// Path answers nothing.
func (*Namespace) Path() string { return "" }

// Close does nothing.
func (*Namespace) Close() error { return nil }

// LoopbackUp answers an [Error] with the cause [NotLinux].
func LoopbackUp() error { return notLinux("bring lo up") }

func notLinux(step string) error { return &Error{Step: step, Cause: NotLinux} }
