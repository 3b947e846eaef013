package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// order is what the runner asks of a client's process, one line of JSON.
type order struct {
	Measure *measure `json:"measure,omitempty"`
	Memory  *memory  `json:"memory,omitempty"`
	Times   int      `json:"times,omitempty"` // make an instance so many times

	Transfer *transfer `json:"transfer,omitempty"`
}

type measure struct {
	Kind    Kind           `json:"kind"`
	Lanes   int            `json:"lanes"`
	To      netip.AddrPort `json:"to"`
	Warm    time.Duration  `json:"warm"`
	For     time.Duration  `json:"for"`
	Profile string         `json:"profile,omitempty"` // file for a CPU profile
}

type memory struct {
	To    netip.AddrPort `json:"to"`
	Conns int            `json:"conns"`
}

// answer is what comes back.
type answer struct {
	Error   string  `json:"error,omitempty"`
	About   string  `json:"about,omitempty"` // in the first answer, which nobody asked for
	Units   float64 `json:"units,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	CPU     float64 `json:"cpu,omitempty"` // seconds

	BytesPerConn      float64 `json:"bytes_per_conn,omitempty"`
	GoroutinesPerConn float64 `json:"goroutines_per_conn,omitempty"`

	Frames Frames `json:"frames,omitzero"`

	Create time.Duration `json:"create,omitempty"` // median
	Remove time.Duration `json:"remove,omitempty"`
}

// client is a client's process.
type client struct {
	design  design
	meter   net.Conn
	started time.Time
	lent    []byte // for transfers
}

// playClient does what its standard input asks until it ends.
func playClient(p part) error {
	meter, err := inherited(firstInherited)
	if err != nil {
		return err
	}
	d, err := p.design()
	if err != nil {
		return err
	}
	c := &client{design: d, meter: meter, started: time.Now()}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	if err := out.Encode(answer{About: d.about()}); err != nil {
		return err
	}
	for {
		var o order
		if err := in.Decode(&o); err == io.EOF {
			return d.close()
		} else if err != nil {
			return err
		}
		a, err := c.do(o)
		if err != nil {
			a.Error = err.Error()
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

func (c *client) do(o order) (answer, error) {
	switch {
	case o.Measure != nil:
		return c.measure(o.Measure)
	case o.Memory != nil:
		return c.memory(o.Memory)
	case o.Transfer != nil:
		return c.transfers(o.Transfer)
	}
	return c.instances(o.Times)
}

// measure runs a workload, lets it get into its stride, and reads the
// instruments twice.
func (c *client) measure(m *measure) (answer, error) {
	runtime.GC() // what the one before left is not this one's cost
	l := startLoad(c.design, m.Kind, m.Lanes, m.To)
	time.Sleep(m.Warm)
	endProfile := profile(m.Profile)
	begin, err := l.read(c.meter, c.started)
	frames := c.frames()
	time.Sleep(m.For)
	end, err2 := l.read(c.meter, c.started)
	// A connection that stalls is measured with its stall.
	for waited := m.For; end.units == begin.units && waited < patience && err2 == nil; waited += m.For {
		time.Sleep(m.For)
		end, err2 = l.read(c.meter, c.started)
	}
	frames = c.frames().since(frames)
	endProfile()
	failure := l.stop()
	if failure = cmpOr(failure, cmpOr(err, err2)); failure != nil {
		return answer{}, failure
	}
	if end.units <= begin.units {
		return answer{}, fmt.Errorf("nothing was done in %v", patience)
	}
	return answer{
		Units:   end.units - begin.units,
		Seconds: (end.at - begin.at).Seconds(),
		CPU:     (end.cpu - begin.cpu).Seconds(),
		Frames:  frames,
	}, nil
}

// profile starts a CPU profile into the file; the function that it answers
// ends it. No name, no profile.
func profile(name string) (end func()) {
	if name == "" {
		return func() {}
	}
	f, err := os.Create(filepath.Clean(name))
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		return func() {}
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}
}

// memory opens connections, leaves them alone, and tells what each takes of the
// heap and the stacks.
func (c *client) memory(m *memory) (answer, error) {
	before, goroutines := inUse(), runtime.NumGoroutine()
	conns := make([]conn, 0, m.Conns)
	defer func() {
		for _, open := range conns {
			open.abort()
		}
	}()
	for range m.Conns {
		one, err := c.design.dial(m.To)
		if err != nil {
			return answer{}, err
		}
		conns = append(conns, one)
	}
	after := inUse()
	return answer{
		BytesPerConn:      (after - before) / float64(m.Conns),
		GoroutinesPerConn: float64(runtime.NumGoroutine()-goroutines) / float64(m.Conns),
	}, nil
}

func inUse() float64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.GC() // the second frees what finalizers let go of
	runtime.ReadMemStats(&s)
	return float64(s.HeapAlloc + s.StackInuse)
}

// instances makes an instance some times and answers the medians.
func (c *client) instances(times int) (answer, error) {
	d, ok := c.design.(instancer)
	if !ok || times < 1 {
		return answer{}, nil
	}
	var creates, removes []time.Duration
	for range times {
		create, remove, err := d.instance()
		if err != nil {
			return answer{}, err
		}
		creates, removes = append(creates, create), append(removes, remove)
	}
	slices.Sort(creates)
	slices.Sort(removes)
	return answer{Create: creates[times/2], Remove: removes[times/2]}, nil
}

// part is what a process of the benchmark is to be. It comes in the
// environment, as JSON.
type part struct {
	Role   string `json:"role"` // "peer", or the name of a design
	Meters int    `json:"meters,omitempty"`

	Congestion string `json:"congestion,omitempty"`

	MTU   int            `json:"mtu,omitempty"`
	Pool  uint32         `json:"pool,omitempty"`  // bytes of memory of each pool; zero: what the design thinks right
	Host  []netip.Prefix `json:"host,omitempty"`  // the kernel's side of the client's device
	Stack []netip.Prefix `json:"stack,omitempty"` // the client's own
}

const (
	partVariable = "NXDUO_BENCH_PART"
	rolePeer     = "peer"
)

// Play makes the process a part of a benchmark, when it was started as one,
// and does not return then. A program that calls [Run] calls it first thing in
// main.
func Play() {
	value := os.Getenv(partVariable)
	if value == "" {
		return
	}
	var p part
	err := json.NewDecoder(strings.NewReader(value)).Decode(&p)
	congestion = p.Congestion
	if err == nil {
		if p.Role == rolePeer {
			err = playPeer(p.Meters)
		} else {
			err = playClient(p)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Role, err)
		os.Exit(1)
	}
	os.Exit(0)
}
