package parity

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
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

// Limits of a file: a scenario is a conversation, no load.
const (
	maxFile  = 1 << 20
	maxBytes = 1 << 20
	maxWait  = 3 * time.Hour
	maxSteps = 200

	// maxRealSleep is how long a scenario may sleep where time is real.
	maxRealSleep = 5 * time.Second
)

// ParseFile reads the scenarios of a file; see [Parse].
func ParseFile(name string) ([]Scenario, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	return Parse(name, string(text))
}

// Parse reads scenarios from text. Each error begins with "name:line:"; all of
// them are reported, joined, up to ten.
func Parse(name, text string) ([]Scenario, error) {
	p := parser{file: name}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: longer than %d bytes", name, maxFile)
	}
	for line := range strings.Lines(text) {
		p.line++
		p.take(strings.TrimSpace(strings.ToValidUTF8(line, "?")))
	}
	p.end()
	if len(p.scenarios) == 0 && len(p.errors) == 0 {
		p.line = 1
		p.fail("no scenario: a file has lines that begin with \"scenario NAME\"")
	}
	if len(p.errors) > 0 {
		return nil, errors.Join(p.errors...)
	}
	return p.scenarios, nil
}

type parser struct {
	file      string
	line      int
	scenarios []Scenario
	current   *Scenario
	said      map[string]bool // settings of the current scenario
	errors    []error
}

func (p *parser) fail(format string, values ...any) {
	if len(p.errors) < 10 {
		p.errors = append(p.errors, fmt.Errorf("%s:%d: %s", p.file, p.line, fmt.Sprintf(format, values...)))
	}
}

func (p *parser) take(line string) {
	if line == "" || strings.HasPrefix(line, "#") {
		return
	}
	word, rest := cut(line)
	switch {
	case word == "scenario":
		p.begin(rest)
	case p.current == nil:
		p.fail("%q before the first \"scenario NAME\"", word)
	case word == "stack" || word == "peer" || word == "wire" || word == "time":
		p.step(line)
	case len(p.current.Steps) > 0:
		p.fail("%q is no step (stack, peer, wire, time); settings come before the first step", word)
	default:
		if p.said[word] {
			p.fail("%s is said twice", word)
		}
		p.said[word] = true
		if err := p.setting(word, rest); err != nil {
			p.fail("%s: %v", word, err)
		}
	}
}

var scenarioName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,59}$`)

func (p *parser) begin(name string) {
	p.end()
	if !scenarioName.MatchString(name) {
		p.fail("a scenario's name is small letters, digits and hyphens, not %q", name)
	}
	for _, s := range p.scenarios {
		if s.Name == name {
			p.fail("there is a scenario %s already, %s", name, s.Origin)
		}
	}
	p.current = &Scenario{Name: name, Settings: DefaultSettings, Origin: fmt.Sprintf("%s:%d", p.file, p.line)}
	p.said = map[string]bool{}
}

// end completes the scenario under construction.
func (p *parser) end() {
	s := p.current
	if s == nil {
		return
	}
	p.current = nil
	switch {
	case len(s.Steps) == 0:
		p.fail("scenario %s has no steps", s.Name)
	case len(s.Steps) > maxSteps:
		p.fail("scenario %s has more than %d steps", s.Name, maxSteps)
	case s.Shows == "":
		p.fail("scenario %s does not say what it shows", s.Name)
	}
	if slept := s.sleeps(); slept > maxRealSleep && (len(s.Places) == 0 || slices.ContainsFunc(s.Places, isReal)) {
		p.fail("scenario %s sleeps %v, more than %v: say \"on ram\", where time is driven", s.Name, slept, maxRealSleep)
	}
	if s.touchesWire() && s.NoControl == "" {
		s.NoControl = "the faults are on the stack's link"
	}
	for _, step := range s.Steps {
		for _, a := range step.Actions {
			if why := verbs[a.Verb].nxOnly; why != "" && a.Who == "stack" && s.NoControl == "" {
				s.NoControl = why
			}
		}
	}
	p.scenarios = append(p.scenarios, *s)
}

func (s *Scenario) sleeps() (d time.Duration) {
	for _, step := range s.Steps {
		for _, a := range step.Actions {
			if a.Verb == "sleep" {
				d += a.For
			}
		}
	}
	return d
}

func (p *parser) setting(word, rest string) (err error) {
	s := &p.current.Settings
	number := func(to *int, least, most int) {
		if *to, err = strconv.Atoi(rest); err != nil || *to < least || *to > most {
			err = fmt.Errorf("a number from %d to %d, not %q", least, most, rest)
		}
	}
	switch word {
	case "shows":
		if p.current.Shows = rest; rest == "" {
			return errors.New("what?")
		}
	case "on":
		p.current.Places = strings.Fields(rest)
		for _, place := range p.current.Places {
			if !slices.Contains(placeNames, place) {
				return fmt.Errorf("no place %q: %s", place, strings.Join(placeNames, ", "))
			}
		}
	case "control":
		reason, ok := strings.CutPrefix(rest, "no:")
		if p.current.NoControl = strings.TrimSpace(reason); !ok || p.current.NoControl == "" {
			return errors.New("\"no: REASON\"")
		}
	case "pool":
		s.Pool, err = parsePool(rest)
	case "send-pool":
		s.SendPool, err = parsePool(rest)
	case "peer-pool":
		s.PeerPool, err = parsePool(rest)
	case "window":
		s.Window, err = parseWindow(rest)
	case "peer-window":
		s.PeerWindow, err = parseWindow(rest)
	case "mtu":
		number(&s.MTU, 1280, 1500)
	case "path-mtu":
		number(&s.PathMTU, 1280, 1500)
	case "queue":
		number(&s.Queue, 1, 1000)
	case "dont-fragment":
		if s.NoFragments = rest == "yes"; !s.NoFragments && rest != "no" {
			return fmt.Errorf("yes or no, not %q", rest)
		}
	case "retries":
		number(&s.Retries, 1, 20)
	case "keepalive":
		s.Keepalive, err = parseTime(rest)
	case "faults":
		s.Faults = rest
		_, err = fault.Parse(rest)
	default:
		return fmt.Errorf("no such setting, and no step: %s; or stack, peer, wire, time",
			"shows, on, control, pool, send-pool, peer-pool, window, peer-window, mtu, path-mtu, queue, dont-fragment, retries, keepalive, faults")
	}
	return err
}

func parsePool(text string) (PoolSize, error) {
	bad := fmt.Errorf("PACKETS x PAYLOAD, such as 16 x 256, not %q", text)
	packets, payload, ok := strings.Cut(text, "x")
	if !ok {
		return PoolSize{}, bad
	}
	n, err1 := strconv.Atoi(strings.TrimSpace(packets))
	size, err2 := strconv.Atoi(strings.TrimSpace(payload))
	if err1 != nil || err2 != nil || n < 1 || n > 4096 || size < 96 || size > 4096 {
		return PoolSize{}, bad
	}
	return PoolSize{n, size}, nil
}

func parseWindow(text string) (Amount, error) {
	a, err := parseAmount(text)
	if err == nil && (a.Unit != "" && a.Unit != "mss" || a.bytes(units{MSS: 1460}) < 1 || a.bytes(units{MSS: 1460}) > 65535) {
		err = fmt.Errorf("a window is a number up to 65535, or 2mss+1; not %q", text)
	}
	return a, err
}

func parseTime(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxWait {
		return 0, fmt.Errorf("a time such as 500ms or 10s, up to %v, not %q", maxWait, text)
	}
	return d, nil
}

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
