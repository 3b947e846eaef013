package parity

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonetx/ip/link/fault"
	"gonetx/packetpool/nx"
	"gonetx/smtp"
	"gonetx/tcp"
)

// The lines of steps.

// step reads a line of actions.
func (p *parser) step(line string) {
	var s Step
	line, s.Background = strings.CutSuffix(line, "&")
	for part := range strings.SplitSeq(line, "|") {
		a, err := parseAction(strings.TrimSpace(part))
		if err != nil {
			p.fail("%v", err)
			return
		}
		a.Line = p.line
		s.Actions = append(s.Actions, a)
	}
	p.current.Steps = append(p.current.Steps, s)
}

// defaultWait is the wait option of a service that says nothing.
const defaultWait = 10 * time.Second

func parseAction(text string) (a Action, err error) {
	text, want, expects := strings.Cut(text, "->")
	a = Action{Text: strings.TrimSpace(text), Wait: defaultWait, At: "c", To: "peer"}
	if expects {
		if a.Want, err = parseWant(want); err != nil {
			return a, err
		}
	}
	var line string
	a.Who, line = cut(a.Text)
	a.Verb, line = cut(line)
	v, known := verbs[a.Verb]
	if !known || !slices.Contains(strings.Fields(v.who), a.Who) {
		return a, fmt.Errorf("%s cannot %q: %s", or(a.Who, "nobody"), a.Verb, strings.Join(verbsOf(a.Who), ", "))
	}
	if line, err = a.operand(v, line); err != nil {
		return a, fmt.Errorf("%s %s: %w", a.Who, a.Verb, err)
	}
	said := map[string]bool{}
	for _, word := range strings.Fields(line) {
		name, value, ok := strings.Cut(word, "=")
		switch {
		case !ok:
			err = fmt.Errorf("%q is not NAME=VALUE", word)
		case !slices.Contains(v.options, name):
			err = fmt.Errorf("no option %q: %s", name, or(strings.Join(v.options, ", "), "there are none"))
		case said[name]:
			err = fmt.Errorf("%s= twice", name)
		default:
			err = a.option(name, value)
		}
		if err != nil {
			return a, fmt.Errorf("%s %s: %w", a.Who, a.Verb, err)
		}
		said[name] = true
	}
	return a, nil
}

// operand reads what the verb demands, and answers the rest of the line.
func (a *Action) operand(v verb, line string) (string, error) {
	word, rest := cut(line)
	named := strings.Contains(word, "=")
	var err error
	switch v.operand {
	case none:
		return line, nil
	case port:
		a.Port, err = parsePort(word)
	case size:
		a.Sized = true
		a.Size, err = parseAmount(word)
	case sizeOrEnd:
		switch {
		case word == "" || named:
			return line, nil
		case word == "end":
			a.End = true
		default:
			a.Sized = true
			a.Size, err = parseAmount(word)
		}
	case count:
		var n int
		if n, err = strconv.Atoi(word); err != nil || n < 1 || n > 4096 {
			err = fmt.Errorf("how many? not %q", word)
		}
		a.Count = uint(n)
	case duration:
		a.For, err = parseTime(word)
	default:
		return "", a.restOf(line)
	}
	return rest, err
}

// restOf reads an operand that is the rest of the line.
func (a *Action) restOf(line string) error {
	switch a.Verb {
	case "faults":
		if a.Faults = line; line == "none" {
			a.Faults = ""
		} else if line == "" {
			return errors.New("which? or \"none\"")
		}
		_, err := fault.Parse(a.Faults)
		return err
	case "address":
		if a.To = line; line != "remove" && line != "restore" {
			return fmt.Errorf("\"remove\" or \"restore\", not %q", line)
		}
	}
	return nil
}

func (a *Action) option(name, value string) (err error) {
	switch name {
	case "wait":
		a.Wait, err = parseTime(value)
	case "at":
		a.At = value
		if !scenarioName.MatchString(value) {
			err = fmt.Errorf("at: the name of a socket is small letters, digits and hyphens, not %q", value)
		}
	case "to":
		a.To = value
		if _, ok := destinations[value]; !ok {
			err = fmt.Errorf("no destination %q: %s", value, strings.Join(sorted(destinations), ", "))
		}
	case "from":
		a.From, err = parsePort(value)
	case "queue":
		var n uint64
		n, err = strconv.ParseUint(value, 10, 8)
		a.Queue = uint(n)
	case "in":
		a.InParts = true
		if a.Piece, err = parseAmount(value); err == nil && a.Piece == (Amount{}) {
			err = errors.New("in: messages of no bytes")
		}
	default:
		err = a.mailOption(name, value)
	}
	return err
}

func (a *Action) mailOption(name, value string) error {
	switch name {
	case "auth":
		if a.Auth = value; !slices.Contains([]string{"none", "plain", "login", "plain,login", "login,plain", "cram-md5"}, value) {
			return fmt.Errorf("no authentication %q: none, plain, login", value)
		}
		return nil
	case "password":
		a.Mail.password = value
		return nil
	case "code":
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil || n < 200 || n > 599 {
			return fmt.Errorf("a reply code has three digits, not %q", value)
		}
		a.Mail.code = uint(n)
		return nil
	}
	if !slices.Contains(phases, value) {
		return fmt.Errorf("no phase %q: %s", value, strings.Join(phases, ", "))
	}
	if a.Mail.phase != "" {
		return errors.New("one misdeed at a time")
	}
	a.Mail.deed, a.Mail.phase = name, value
	return nil
}

// parseWant reads an expectation: words that the outcome must all have.
func parseWant(text string) ([]string, error) {
	list := strings.Fields(text)
	if len(list) == 0 {
		return nil, errors.New("nothing behind ->")
	}
	for _, w := range list {
		if _, ok := words[w]; !ok && !statuses[w] && !slices.Contains(states, w) {
			return nil, fmt.Errorf("no outcome %q: a status of NetX Duo, a state, or %s", w, strings.Join(sorted(words), ", "))
		}
	}
	return list, nil
}

// statuses are the names of all statuses.
var statuses = func() map[string]bool {
	m := map[string]bool{}
	for s := nx.NoPacket; s <= nx.TCPIPOffloadError; s++ {
		if name := s.String(); !strings.Contains(name, "_0x") { // the numbers have gaps
			m[name] = true
		}
	}
	for s := smtp.AuthenticationError; s <= smtp.ClientNotInitialized; s++ {
		m[s.String()] = true
	}
	return m
}()

// states are the names of the states of a socket.
var states = func() (list []string) {
	for s := tcp.Closed; s <= tcp.LastAck; s++ {
		list = append(list, s.String())
	}
	return list
}()

var amountForm = regexp.MustCompile(`^(\d{0,4})(mss|payload|chunk|window)([+-]\d{1,6})?$`)

func parseAmount(text string) (Amount, error) {
	if n, err := strconv.Atoi(text); err == nil && n >= 0 && n <= maxBytes && text[0] != '+' && text[0] != '-' {
		return Amount{Plus: n}, nil
	}
	m := amountForm.FindStringSubmatch(text)
	if m == nil {
		return Amount{}, fmt.Errorf("a size is a number up to %d, or 2mss+1, payload-1, chunk, window; not %q", maxBytes, text)
	}
	a := Amount{Times: 1, Unit: m[2]}
	if m[1] != "" {
		a.Times, _ = strconv.Atoi(m[1]) // the form has digits
	}
	if m[3] != "" {
		a.Plus, _ = strconv.Atoi(m[3])
	}
	if a.Times > 500 {
		return Amount{}, fmt.Errorf("%s is more than a conversation needs", text)
	}
	return a, nil
}

func parsePort(text string) (uint, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("which port? not %q", text)
	}
	return uint(n), nil
}

// cut answers the first word of a line and the rest.
func cut(line string) (word, rest string) {
	line = strings.TrimSpace(line)
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		return line[:i], strings.TrimSpace(line[i:])
	}
	return line, ""
}

func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func verbsOf(who string) (list []string) {
	for _, name := range sorted(verbs) {
		if slices.Contains(strings.Fields(verbs[name].who), who) {
			list = append(list, name)
		}
	}
	return list
}
