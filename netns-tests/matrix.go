package parity

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// The matrix: loss x pool size x family. A transfer of 20 segments each way
// completes intact, or it ends with an error within its time, in every cell. It
// runs in driven time, so that a cell is the same in every run.

// Cell is the transfers with one loss, one pool size and one family.
type Cell struct {
	Loss   int      `json:"loss_percent"`
	Pool   PoolSize `json:"pool"`
	Family int      `json:"family"`

	Intact   int            `json:"intact"`          // transfers that completed, every byte as it was sent
	Ended    map[string]int `json:"ended,omitempty"` // others, by how they ended
	Longest  time.Duration  `json:"longest_ns"`
	Failures []string       `json:"failures,omitempty"` // what may never be: damage, packets that are lost, a call that does not return
}

// matrixSeeds is how often each cell is run, with a seed each.
const matrixSeeds = 4

var (
	matrixLosses = []int{0, 1, 2, 5, 10, 20, 30, 50}
	matrixPools  = []PoolSize{{10, 128}, {6, 800}, {16, 256}, {8, 1536}, {64, 1536}}
)

// matrixWait is the time of each service in a transfer.
const matrixWait = time.Minute

// Matrix runs all cells. It must run alone in its process, as [Run].
func Matrix(ctx context.Context, seed uint64) ([]Cell, error) {
	var cells []Cell
	for _, pool := range matrixPools {
		for _, loss := range matrixLosses {
			for _, family := range families {
				if err := ctx.Err(); err != nil {
					return cells, err
				}
				c := Cell{Loss: loss, Pool: pool, Family: family, Ended: map[string]int{}}
				for i := range uint64(matrixSeeds) {
					if err := c.transfer(seed + i); err != nil {
						return cells, err
					}
				}
				cells = append(cells, c)
			}
		}
	}
	return cells, nil
}

// transfer runs one transfer of a cell.
func (c *Cell) transfer(seed uint64) error {
	list, err := Parse("matrix", fmt.Sprintf(`scenario matrix
shows A transfer each way.
on ram
pool %v
send-pool %v
faults loss=%d%%
peer listen 7
stack connect 7 wait=%[4]v -> any | peer accept wait=%[4]v -> any
stack send 20mss in=chunk wait=%[4]v -> any | peer receive 20mss wait=%[4]v -> any
peer send 20mss wait=%[4]v -> any | stack receive 20mss wait=%[4]v -> any
`, c.Pool, c.Pool, c.Loss, matrixWait))
	if err != nil {
		return err
	}
	trace, err := runTrace(&list[0], place("ram"), c.Family, Options{Seed: seed}, nil)
	if err != nil {
		return err
	}
	c.Failures = append(c.Failures, trace.Failures...)
	outcome, took := "ok", 0
	latest := map[int]int{}
	for _, e := range trace.lane(Steps) {
		latest[e.Step] = max(latest[e.Step], e.Tick)
		word := strings.Fields(e.What[strings.LastIndex(e.What, "-> ")+3:])[0]
		if outcome == "ok" && word != "ok" {
			outcome = word
		}
		if word == "corrupt" || word == "stuck" {
			c.Failures = append(c.Failures, fmt.Sprintf("seed %d: %s", seed, e.What))
		}
	}
	for _, ticks := range latest {
		took += ticks
	}
	c.Longest = max(c.Longest, time.Duration(took)*tick)
	if outcome == "ok" {
		c.Intact++
	} else {
		c.Ended[outcome]++
	}
	// A receiver may wait its whole time for each segment; a stack that makes no
	// progress gives up long before.
	if limit := 10 * matrixWait; c.Longest > limit {
		c.Failures = append(c.Failures, fmt.Sprintf("seed %d: it took %v", seed, c.Longest))
	}
	return nil
}

// String is how the transfers of a cell ended.
func (c Cell) String() string {
	list := []string{fmt.Sprintf("%d intact", c.Intact)}
	for _, word := range slices.Sorted(maps.Keys(c.Ended)) {
		list = append(list, fmt.Sprintf("%d %s", c.Ended[word], word))
	}
	return strings.Join(list, ", ")
}

// WriteMatrix writes the cells as a table, IPv4 | IPv6; with times: how long the
// longest transfer of each took.
func WriteMatrix(w io.Writer, cells []Cell, times bool) error {
	var b strings.Builder
	width := 34
	if times {
		width += len(" in 999.9 s")
	}
	fmt.Fprintf(&b, "%-10s %5s   %-*s %s\n", "pool", "loss", width, "IPv4", "IPv6")
	show := func(c Cell) string {
		if times {
			return fmt.Sprintf("%v in %.1f s", c, c.Longest.Seconds())
		}
		return c.String()
	}
	for i := 0; i+1 < len(cells); i += 2 {
		four, six := cells[i], cells[i+1]
		fmt.Fprintf(&b, "%-10v %4d%%   %-*s %s\n", four.Pool, four.Loss, width, show(four), show(six))
		for _, c := range []Cell{four, six} {
			for _, f := range c.Failures {
				fmt.Fprintf(&b, "    IPv%d FAILS: %s\n", c.Family, f)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
