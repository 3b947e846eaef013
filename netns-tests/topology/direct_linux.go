package topology

import (
	"errors"
	"net/netip"
)

// Direct is two kernels on one cable:
//
//	near ──veth── far
//	 10.78.0.1    .2
//	 fd78::1     ::2
//
// It is what a stack on a TUN device is compared with. The near host has no
// stack; one that opens its device on the far host reaches the same programs
// there as the near kernel does.
type Direct struct{ Near, Far *Host }

// NewDirect makes the two namespaces. On an error nothing is left.
func NewDirect() (*Direct, error) {
	t := &Direct{}
	if err := t.build(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Close gives both up.
func (t *Direct) Close() error {
	var errs []error
	for _, h := range []*Host{t.Near, t.Far} {
		if h != nil {
			errs = append(errs, h.Close())
		}
	}
	return errors.Join(errs...)
}

func (t *Direct) build() (err error) {
	if t.Near, err = newHost("near host"); err != nil {
		return err
	}
	if t.Far, err = newHost("far host"); err != nil {
		return err
	}
	if err := connect(t.Near, "up", t.Far, "up"); err != nil {
		return err
	}
	return errors.Join(
		t.Near.setUp(false, port{"up", []netip.Prefix{Near4, Near6}}),
		t.Far.setUp(false, port{"up", []netip.Prefix{Far4, Far6}}))
}
