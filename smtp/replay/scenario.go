// Package replay makes the recorded sessions of the original SMTP client again:
// a client program on one IP instance, a scripted server over TCP services on
// another, both on a RAM network in driven time.
package replay

import (
	"fmt"
	"strings"
)

// Scenario is one recorded session, with the fields of the recording.
type Scenario struct {
	Name   string           `json:"name"`
	Group  string           `json:"group"`
	AF     int              `json:"af"`
	Config map[string]any   `json:"config"`
	Client map[string]any   `json:"client"`
	Server [][]ServerStep   `json:"server"` // one script for each connection
	Ops    []map[string]any `json:"ops"`
	Result map[string]any   `json:"result"`
}

// ServerStep is what the server does when the next unit is complete.
type ServerStep struct {
	On string  `json:"on"` // connect, line, message, eomseg, any
	Do [][]any `json:"do"` // send bytes, wait ticks, close, reset, none, drop mask, stop
}

// config answers a setting, or what it is when it is not given.
func (s *Scenario) config(name string, otherwise int) int { return number(s.Config, name, otherwise) }

func number(m map[string]any, name string, otherwise int) int {
	if v, ok := m[name].(float64); ok {
		return int(v)
	}
	return otherwise
}

// PacketsOf is how many packets a pool had: the harness of the recording made
// room for a few more than it was asked for, and noted how many that gave.
func (s *Scenario) packetsOf(pool string, otherwise int) int {
	pools, _ := s.Result["pools"].(map[string]any)
	start, _ := pools["start"].(map[string]any)
	counts, _ := start[pool].([]any)
	if len(counts) == 0 {
		return otherwise
	}
	n, _ := counts[0].(float64)
	return int(n)
}

// text answers an argument of the client, which an op may override. Recorded
// strings hold one byte in each character.
func (s *Scenario) text(op map[string]any, name string) string {
	v, _ := s.argument(op, name).(string)
	return string(Bytes(v))
}

func (s *Scenario) argument(op map[string]any, name string) any {
	if v, ok := op[name]; ok {
		return v
	}
	return s.Client[name]
}

// body answers the mail body: given, or made by the rule of the recording,
// numbered lines of 64 bytes.
func (s *Scenario) body(op map[string]any) []byte {
	if _, own := op["body"]; own {
		return []byte(s.text(op, "body"))
	}
	n := number(op, "body_len", number(s.Client, "body_len", 0))
	if n == 0 {
		return []byte(s.text(op, "body"))
	}
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%06d abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRST\r\n", i)
	}
	return []byte(b.String()[:n])
}

// longestTicks is the time of the longest recorded call.
func (s *Scenario) longestTicks() int {
	ops, _ := s.Result["ops"].([]any)
	longest := 0
	for _, v := range ops {
		op, _ := v.(map[string]any)
		longest = max(longest, number(op, "ticks", 0))
	}
	return longest
}

// Bytes and Text are the two directions of a recorded string.
func Bytes(text string) []byte {
	b := make([]byte, 0, len(text))
	for _, r := range text {
		b = append(b, byte(r))
	}
	return b
}

// Text shows bytes as a recording does.
func Text(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

// Outcome is what a replay gave, in the shape of the recording.
type Outcome struct {
	Ops         []map[string]any
	Connections []map[string]any
	Pools       map[string]any
	Wire        []string
	Unheard     []string // segments to addresses that nobody has, as Wire

	// Raw is the bytes that each connection received.
	Raw [][]byte
}

// Title names a scenario in reports: most exist for both families.
func (s *Scenario) Title() string { return fmt.Sprintf("%s IPv%d", s.Name, s.AF) }
