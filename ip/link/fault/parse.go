package fault

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"gonetx/packetpool/nx"
)

// Parse reads faults from text, a list with commas.
//
// Chances, for both directions or, with "in." or "out." before them, for one:
//
//	loss=5%  duplicate=1%  reorder=2%  corrupt=0.1%
//	delay=20ms  jitter=5ms
//	rate=1mbit  queue=64k
//
// Rules, what to do and with which frames:
//
//	drop(server data 3)        the third data segment from the server
//	drop(synack)               every SYN-ACK
//	delay(200ms, in fin)
//	split(5, server data 1)    the server's first data in two, after 5 bytes
//	duplicate(out data 2-4)    the second to the fourth
//	corrupt(from 25 data 7+)   the seventh and all behind it, from port 25
//	reorder(to 25 any 1)
//
// A frame is picked by direction (in, out), end of the connection (client,
// server), port (from N, to N), kind (any, tcp, syn, synack, ack, data, fin,
// rst, udp, icmp) and count (3, 2-4, 7+), in any order; what is not said may
// be anything.
//
// And seed=N. [Config.String] writes the same.
func Parse(text string) (Config, error) {
	var c Config
	for _, item := range items(text) {
		if err := c.parse(item); err != nil {
			return Config{}, fmt.Errorf("fault %q: %w", item, err)
		}
	}
	return c, nil
}

// items splits at commas outside of parentheses.
func items(text string) (list []string) {
	depth, from := 0, 0
	add := func(to int) {
		if item := strings.TrimSpace(text[from:to]); item != "" {
			list = append(list, item)
		}
		from = to + 1
	}
	for i, r := range text {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			add(i)
		}
	}
	add(len(text))
	return list
}

func (c *Config) parse(item string) error {
	if name, rest, ok := strings.Cut(item, "("); ok {
		arguments, closed := strings.CutSuffix(rest, ")")
		if !closed {
			return fmt.Errorf("no closing parenthesis")
		}
		r, err := parseRule(strings.TrimSpace(name), arguments)
		if err == nil {
			c.Rules = append(c.Rules, r)
		}
		return err
	}
	key, value, ok := strings.Cut(item, "=")
	if !ok {
		return fmt.Errorf("neither NAME=VALUE nor WHAT(FRAMES)")
	}
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if key == "seed" {
		seed, err := strconv.ParseUint(value, 10, 64)
		c.Seed = seed
		return err
	}
	ways := []*Chances{&c.In, &c.Out}
	if name, ok := strings.CutPrefix(key, "in."); ok {
		key, ways = name, ways[:1]
	} else if name, ok := strings.CutPrefix(key, "out."); ok {
		key, ways = name, ways[1:]
	}
	for _, w := range ways {
		if err := w.parse(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (c *Chances) parse(key, value string) (err error) {
	switch key {
	case "loss":
		c.Drop, err = parseChance(value)
	case "duplicate":
		c.Duplicate, err = parseChance(value)
	case "reorder":
		c.Reorder, err = parseChance(value)
	case "corrupt":
		c.Corrupt, err = parseChance(value)
	case "delay":
		c.Delay, err = parseDuration(value)
	case "jitter":
		c.Jitter, err = parseDuration(value)
	case "rate":
		c.Rate, err = parseRate(value)
	case "queue":
		c.Queue, err = parseBytes(value)
	default:
		err = fmt.Errorf("no fault of that name: loss, duplicate, reorder, corrupt, delay, jitter, rate, queue")
	}
	return err
}

func parseChance(value string) (float64, error) {
	number, percent := strings.CutSuffix(value, "%")
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("a chance is 5%% or 0.05")
	}
	if percent {
		f /= 100
	}
	if !(f >= 0 && f <= 1) { // nor NaN
		return 0, fmt.Errorf("a chance lies between 0%% and 100%%")
	}
	return f, nil
}

func parseDuration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err == nil && d < 0 {
		err = fmt.Errorf("time does not go back")
	}
	return d, err
}

// parseRate reads bits a second, as tc does, and answers bytes.
func parseRate(value string) (uint64, error) {
	number, ok := strings.CutSuffix(value, "bit")
	if !ok {
		return 0, fmt.Errorf("a rate is 9600bit, 64kbit, 1mbit, 1gbit")
	}
	bits, err := parseBytes(number)
	if err == nil && bits < 8 {
		err = fmt.Errorf("a rate is at least 8bit")
	}
	return bits / 8, err
}

// parseBytes reads a number with k, m or g for a thousand, a million and so on.
func parseBytes(value string) (uint64, error) {
	scale := uint64(1)
	for _, s := range []struct {
		suffix string
		scale  uint64
	}{{"k", 1e3}, {"m", 1e6}, {"g", 1e9}} {
		if number, ok := strings.CutSuffix(value, s.suffix); ok {
			value, scale = number, s.scale
		}
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if err == nil && n > math.MaxUint64/scale {
		err = strconv.ErrRange
	}
	return n * scale, err
}

func parseRule(name, arguments string) (r Rule, err error) {
	first, frames, two := strings.Cut(arguments, ",")
	first = strings.TrimSpace(first)
	switch name {
	case "drop":
		r.Verdict.Drop = true
	case "duplicate":
		r.Verdict.Duplicate = 1
	case "reorder":
		r.Verdict.Reorder = true
	case "corrupt":
		r.Verdict.Corrupt = true
	case "delay":
		r.Verdict.Delay, err = parseDuration(first)
	case "split":
		r.Verdict.Split, err = strconv.Atoi(first)
		if err == nil && r.Verdict.Split < 1 {
			err = fmt.Errorf("split after at least one byte")
		}
	default:
		err = fmt.Errorf("nothing of that name to do: drop, delay, duplicate, reorder, corrupt, split")
	}
	if err != nil {
		return Rule{}, err
	}
	if wants := name == "delay" || name == "split"; wants != two {
		if wants {
			return Rule{}, fmt.Errorf("%s wants how much, and which frames: %s(HOW MUCH, FRAMES)", name, name)
		}
		return Rule{}, fmt.Errorf("%s wants which frames: %s(FRAMES)", name, name)
	}
	if !two {
		frames = arguments
	}
	r.Match, err = parseMatch(strings.Fields(frames))
	return r, err
}

// The words of a match, in the order of the constants.
var (
	kindWords      = []string{Any: "any", TCP: "tcp", SYN: "syn", SYNACK: "synack", ACK: "ack", Data: "data", FIN: "fin", RST: "rst", UDP: "udp", ICMP: "icmp"}
	sideWords      = []string{FromServer: "server", FromClient: "client"}
	directionWords = []string{nx.Sent: "out", nx.Received: "in"}
)

func parseMatch(words []string) (m Match, err error) {
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "from" || word == "to":
			if i++; i == len(words) {
				return m, fmt.Errorf("%s which port?", word)
			}
			port, err := strconv.ParseUint(words[i], 10, 16)
			if err != nil || port == 0 {
				return m, fmt.Errorf("%q is no port", words[i])
			}
			if word == "from" {
				m.FromPort = uint16(port)
			} else {
				m.ToPort = uint16(port)
			}
		case find(kindWords, word) >= 0:
			m.Kind = Kind(find(kindWords, word))
		case find(sideWords, word) >= 0:
			m.Side = Side(find(sideWords, word))
		case find(directionWords, word) >= 0:
			m.Direction = nx.Direction(find(directionWords, word))
		default:
			if m.First, m.Last, err = parseCount(word); err != nil {
				return m, err
			}
		}
	}
	return m, nil
}

func find(words []string, word string) int {
	for i, w := range words {
		if w == word && w != "" {
			return i
		}
	}
	return -1
}

func parseCount(word string) (first, last uint64, err error) {
	bad := fmt.Errorf("%q is neither a kind of frame nor a count such as 3, 2-4, 7+", word)
	from, to, two := strings.Cut(word, "-")
	from, open := strings.CutSuffix(from, "+")
	if first, err = strconv.ParseUint(from, 10, 63); err != nil || first == 0 || open && two {
		return 0, 0, bad
	}
	if open {
		return first, Open, nil
	}
	if !two {
		return first, 0, nil
	}
	if last, err = strconv.ParseUint(to, 10, 63); err != nil || last < first {
		return 0, 0, bad
	}
	return first, last, nil
}

// String writes the faults as Parse reads them. A hook has no text.
func (c Config) String() string {
	var list []string
	if c.Seed != 0 {
		list = append(list, fmt.Sprintf("seed=%d", c.Seed))
	}
	if c.In == c.Out {
		list = append(list, c.In.words("")...)
	} else {
		list = append(append(list, c.In.words("in.")...), c.Out.words("out.")...)
	}
	for _, r := range c.Rules {
		list = append(list, r.words()...)
	}
	return strings.Join(list, ",")
}

func (c Chances) words(way string) (list []string) {
	add := func(name, value string) { list = append(list, way+name+"="+value) }
	for _, f := range []struct {
		name  string
		value float64
	}{{"loss", c.Drop}, {"duplicate", c.Duplicate}, {"reorder", c.Reorder}, {"corrupt", c.Corrupt}} {
		if f.value != 0 {
			add(f.name, strconv.FormatFloat(f.value, 'g', -1, 64))
		}
	}
	if c.Delay != 0 {
		add("delay", c.Delay.String())
	}
	if c.Jitter != 0 {
		add("jitter", c.Jitter.String())
	}
	if c.Rate != 0 {
		add("rate", fmt.Sprintf("%dbit", c.Rate*8))
	}
	if c.Queue != 0 {
		add("queue", strconv.FormatUint(c.Queue, 10))
	}
	return list
}

// words are one item for each thing that the rule does.
func (r Rule) words() (list []string) {
	frames := r.Match.String()
	v := r.Verdict
	if v.Drop {
		list = append(list, "drop("+frames+")")
	}
	for range v.Duplicate {
		list = append(list, "duplicate("+frames+")")
	}
	if v.Reorder {
		list = append(list, "reorder("+frames+")")
	}
	if v.Corrupt {
		list = append(list, "corrupt("+frames+")")
	}
	if v.Delay > 0 {
		list = append(list, fmt.Sprintf("delay(%v, %s)", v.Delay, frames))
	}
	if v.Split > 0 {
		list = append(list, fmt.Sprintf("split(%d, %s)", v.Split, frames))
	}
	return list
}

// String writes the match as Parse reads it.
func (m Match) String() string {
	var words []string
	if m.Direction != 0 {
		words = append(words, directionWords[m.Direction])
	}
	if m.Side != EitherSide {
		words = append(words, sideWords[m.Side])
	}
	if m.FromPort != 0 {
		words = append(words, fmt.Sprintf("from %d", m.FromPort))
	}
	if m.ToPort != 0 {
		words = append(words, fmt.Sprintf("to %d", m.ToPort))
	}
	words = append(words, kindWords[m.Kind])
	switch {
	case m.First == 0:
	case m.Last == 0:
		words = append(words, strconv.FormatUint(m.First, 10))
	case m.Last == Open:
		words = append(words, fmt.Sprintf("%d+", m.First))
	default:
		words = append(words, fmt.Sprintf("%d-%d", m.First, m.Last))
	}
	return strings.Join(words, " ")
}
