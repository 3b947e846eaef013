package replay

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gonetx/packetpool/nxtest/golden"
)

// Context is what rules look at; Op is -1 for a case that is not about one call
// of the client program.
type Context struct {
	Scenario *Scenario
	Outcome  *Outcome
	Op       int
}

// Kinds of cases.
const (
	KindReturns     = "returns"
	KindConnections = "connections"
	KindConnection  = "connection"
	KindPools       = "pools"
	KindWire        = "segments"
	KindUnheard     = "segments to nobody"
)

// Cases splits a scenario into what can be compared: each call of the client
// program with the client's state afterwards, what the server saw of each
// connection, the pools at each moment, and every segment. The recording's wire
// has none to an address that nobody has.
//
// Of the client's state the fields are compared that ClientInfoGet shows. A
// call that crashed or never ended when it was recorded must return here.
func Cases(s *Scenario, o *Outcome) []golden.Case {
	var cases []golden.Case
	add := func(op int, where, kind string, want, got any) {
		cases = append(cases, golden.Case{Where: where, Kind: kind, Want: want, Got: got, Context: Context{s, o, op}})
	}
	recorded, _ := s.Result["ops"].([]any)
	for i := range recorded {
		want, _ := recorded[i].(map[string]any)
		name, _ := want["op"].(string)
		add(i, fmt.Sprintf("op %d %s", i, name), name, call(want), replayedCall(o, i))
	}
	if s.Stopped() {
		i := len(recorded)
		add(i, fmt.Sprintf("op %d", i), KindReturns, map[string]any{"returned": false}, replayedEnd(o, i))
	}
	connections, _ := s.Result["conns"].([]any)
	add(-1, KindConnections, KindConnections, float64(len(connections)), float64(len(o.Connections)))
	for k := range min(len(connections), len(o.Connections)) {
		want, _ := connections[k].(map[string]any)
		add(-1, fmt.Sprintf("connection %d", k), KindConnection, recordedConnection(want), replayedConnection(want, o, k))
	}
	pools, _ := s.Result["pools"].(map[string]any)
	for _, at := range slices.Sorted(keys(pools)) {
		add(-1, "pools "+at, KindPools, pools[at], o.Pools[at])
	}
	wire, _ := s.Result["wire"].([]any)
	add(-1, KindWire, KindWire, segments(wire), segments(anys(o.Wire)))
	add(-1, KindUnheard, KindUnheard, []any{}, segments(anys(o.Unheard)))
	return cases
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

// segments takes the lines of a wire apart.
func segments(lines []any) []any {
	out := make([]any, len(lines))
	for i, v := range lines {
		line, _ := v.(string)
		s := map[string]any{}
		fields := strings.Fields(line)
		for j, name := range []string{"ticks", "side", "flags", "seq", "ack", "window", "length"} {
			if j >= len(fields) {
				break
			}
			s[name] = fields[j]
			if n, err := strconv.ParseFloat(fields[j], 64); err == nil {
				s[name] = n
			}
		}
		for _, field := range fields[min(7, len(fields)):] {
			if mss, ok := strings.CutPrefix(field, "mss"); ok {
				s["mss"] = mss
			} else {
				s[field] = true // DROP
			}
		}
		out[i] = s
	}
	return out
}

// Stopped tells that the recording ends in a call that crashed or never ended.
func (s *Scenario) Stopped() bool { return s.Result["crash"] != nil || s.Result["hang"] != nil }

func keys(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func call(op map[string]any) map[string]any {
	state, _ := op["state"].(map[string]any)
	return map[string]any{
		"status": op["status"], "ticks": op["ticks"],
		"reply_code": state["reply_code"], "mail_status": state["mail_status"],
		"auth_type": state["auth_type"], "auth_state": state["auth_state"],
	}
}

func replayedCall(o *Outcome, i int) any {
	if i >= len(o.Ops) {
		return nil
	}
	return call(o.Ops[i])
}

func replayedEnd(o *Outcome, i int) any {
	if i >= len(o.Ops) {
		return nil
	}
	end := map[string]any{"returned": true, "status": o.Ops[i]["status"]}
	if reason := o.Ops[i][Inexpressible]; reason != nil {
		end[Inexpressible] = reason
	}
	return end
}

// recordedConnection brings the two forms of a recording into one: the lengths
// of all segments, and either their bytes or a digest of the stream.
func recordedConnection(c map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range c {
		out[k] = v
	}
	if end, ok := c["end"].(map[string]any); ok {
		out["end"] = map[string]any{
			"status": end["status"], "state": end["state"], "unconsumed": end["unconsumed"], "steps_used": end["steps_used"],
		}
	}
	if rle, ok := c["segment_lengths_rle"].([]any); ok {
		delete(out, "segment_lengths_rle")
		var lengths []any
		for _, run := range rle {
			pair, _ := run.([]any)
			times, _ := pair[1].(float64)
			for range int(times) {
				lengths = append(lengths, pair[0])
			}
		}
		out["segment_lengths"] = lengths
	}
	return out
}

func replayedConnection(want map[string]any, o *Outcome, k int) map[string]any {
	out := map[string]any{}
	for key, v := range o.Connections[k] {
		out[key] = v
	}
	stream, ok := want["stream"].(map[string]any)
	if !ok {
		return out
	}
	delete(out, "segments")
	raw := o.Raw[k]
	digest := map[string]any{"len": float64(len(raw))}
	if _, whole := stream["data"]; whole {
		digest["data"] = Text(raw)
	} else {
		sum := sha256.Sum256(raw)
		digest["sha256"] = hex.EncodeToString(sum[:])
		head, _ := stream["head"].(string)
		tail, _ := stream["tail"].(string)
		digest["head"] = Text(raw[:min(len([]rune(head)), len(raw))])
		digest["tail"] = Text(raw[max(0, len(raw)-len([]rune(tail))):])
	}
	out["stream"] = digest
	return out
}
