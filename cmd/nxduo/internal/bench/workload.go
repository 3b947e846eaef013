package bench

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is one thing that a program does with TCP.
type Kind string

const (
	BulkOut   Kind = "bulk-out"  // bytes to the peer, as fast as they go
	BulkIn    Kind = "bulk-in"   // bytes from the peer
	RoundTrip Kind = "roundtrip" // 64 bytes there and back
	Connect   Kind = "connect"   // a connection is opened and closed
	Mails     Kind = "mails"     // a mail of 1 kB, each on a connection of its own
)

// Kinds are all kinds, in the order of the table.
var kinds = []Kind{BulkOut, BulkIn, RoundTrip, Connect, Mails}

// bulk tells whether bytes are counted and not operations.
func (k Kind) bulk() bool { return k == BulkOut || k == BulkIn }

// Rate is a rate in the unit of the table: gigabits or operations a second.
func (k Kind) rate(units, seconds float64) float64 {
	if k.bulk() {
		return units * 8 / 1e9 / seconds
	}
	return units / seconds
}

// cost is CPU time in the unit of the table: nanoseconds per KiB, or
// microseconds per operation.
func (k Kind) cost(units, cpuSeconds float64) float64 {
	if k.bulk() {
		return cpuSeconds * 1e9 / (units / 1024)
	}
	return cpuSeconds * 1e6 / units
}

// Units of rate and cost.
func (k Kind) rateUnit() string {
	if k.bulk() {
		return "Gb/s"
	}
	return "/s"
}

func (k Kind) costUnit() string {
	if k.bulk() {
		return "ns/KiB"
	}
	return "us"
}

// Name of a design.
type Name string

const (
	Kernel Name = "kernel"
	Naive  Name = "naive"
	NXDuo  Name = "nxduo"
	Bare   Name = "bare" // gVisor over our driver, without pool, instance and sockets of ours
)

// designs are all; those that are measured when nobody asks come first.
var (
	designs   = []Name{Kernel, Naive, NXDuo, Bare}
	byDefault = designs[:3]
)

// Client is a design with the MTU of its link.
type Client struct {
	Design Name   `json:"design"`
	MTU    int    `json:"mtu"`
	Pool   uint32 `json:"pool,omitempty"` // bytes of memory of each pool; zero: poolMemory
}

func (c Client) String() string {
	s := fmt.Sprintf("%s %d", c.Design, c.MTU)
	if c.Pool != 0 {
		s += ", pools of " + byteSize(int(c.Pool))
	}
	return s
}

// Workload is a kind of work, by a number of connections at once, on a family.
type Workload struct {
	Kind   Kind `json:"kind"`
	Lanes  int  `json:"lanes"` // connections, or clients, at once
	Family int  `json:"family"`
}

func (w Workload) String() string {
	s := string(w.Kind)
	if w.Lanes != 1 {
		s += fmt.Sprintf(" x%d", w.Lanes)
	}
	return fmt.Sprintf("%s IPv%d", s, w.Family)
}

// Cell is one field of the table: a workload with a client.
type Cell struct {
	Workload
	Client
}

func (c Cell) String() string { return c.Workload.String() + " " + c.Client.String() }

// Selection is what shall be measured. Empty lists mean the default, which
// leaves out what costs time and tells little.
type Selection struct {
	Kinds    []Kind
	Lanes    []int
	Families []int
	Designs  []Name
	MTUs     []int // of the TUN devices
}

// cells are the fields of the table, those of one workload one after the
// other.
func (s Selection) cells() []Cell {
	var cells []Cell
	for _, kind := range or(s.Kinds, kinds) {
		for _, lanes := range or(s.Lanes, []int{1, 64}) {
			for _, family := range or(s.Families, []int{4, 6}) {
				w := Workload{kind, lanes, family}
				for _, c := range s.clients(kind) {
					cells = append(cells, Cell{w, c})
				}
			}
		}
	}
	return cells
}

// clients are the clients for one kind of work. A large MTU is of use for bulk
// only, and of no use for the naive design, unless somebody asks.
func (s Selection) clients(kind Kind) []Client {
	var clients []Client
	for _, d := range or(s.Designs, byDefault) {
		switch {
		case d == Kernel:
			clients = append(clients, Client{Design: d, MTU: veth})
		case len(s.MTUs) > 0:
			for _, mtu := range s.MTUs {
				clients = append(clients, Client{Design: d, MTU: mtu})
			}
		default:
			clients = append(clients, Client{Design: d, MTU: small})
			if d == NXDuo && kind.bulk() {
				clients = append(clients, Client{Design: d, MTU: large})
			}
		}
	}
	return clients
}

// poolMemory is how much a pool of a client has, as a program on a machine with
// memory makes it.
const poolMemory = 32 << 20

const (
	veth  = 1500
	small = 1500
	large = 65535 // the longest IPv4 datagram
)

// all are the clients that occur in cells, each once.
func all(cells []Cell) []Client {
	var clients []Client
	for _, c := range cells {
		if !slices.Contains(clients, c.Client) {
			clients = append(clients, c.Client)
		}
	}
	return clients
}

func or[T any](list, otherwise []T) []T {
	if len(list) > 0 {
		return list
	}
	return otherwise
}

// parse finds the names of a list that a person wrote.
func parse[T ~string](what string, names []string, known []T) ([]T, error) {
	var list []T
	for _, name := range names {
		if !slices.Contains(known, T(name)) {
			return nil, fmt.Errorf("there is no %s %q: %s", what, name, join(known))
		}
		list = append(list, T(name))
	}
	return list, nil
}

func join[T ~string](names []T) string {
	var s []string
	for _, n := range names {
		s = append(s, string(n))
	}
	return strings.Join(s, ", ")
}
