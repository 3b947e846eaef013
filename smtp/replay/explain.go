package replay

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"gonetx/smtp"
)

// An explanation says when an entry of the ledger may show in a scenario: a
// predicate on what the program asks, what the server says and what was
// recorded, never on a name.
type explanation struct {
	difference smtp.Difference
	when       func(*Scenario) bool
}

// Explain answers the entries of the ledger that may show in a scenario. A
// client in which only these are as in the release must do what was recorded;
// so they explain whatever the default client does otherwise.
func Explain(s *Scenario) []smtp.Difference {
	var found []smtp.Difference
	for _, e := range explanations {
		if e.when(s) {
			found = append(found, e.difference)
		}
	}
	return found
}

var explanations = []explanation{
	{smtp.HeaderFailureSwallowed, func(s *Scenario) bool { return s.Result["hang"] != nil }},
	{smtp.DotsNotStuffed, anyBody(func(b []byte) bool { return leadingDot.Match(b) || loneBreak.Match(b) })},
	{smtp.EndMarkAddsLine, anyBody(func(b []byte) bool { return bytes.HasSuffix(b, []byte("\r\n")) })},
	{smtp.LineBreaksPassed, anyText(func(_, text string) bool { return strings.ContainsAny(text, "\r\n\x00") })},
	{smtp.SpaceAfterPath, sent("MAIL FROM:")},
	{smtp.PacketIsReply, func(s *Scenario) bool { return !s.tidy() || s.anyReply(chained) }},
	{smtp.LongCodeCrashes, func(s *Scenario) bool { return s.Result["crash"] != nil }},
	{smtp.ChainedReplyRefused, anyReply(chained)},
	{smtp.QuitOverridesOutcome, sent("QUIT")},
	{smtp.ExactCodesOnly, func(s *Scenario) bool { return s.strangeCode() || !s.tidy() }},
	{smtp.BareCodeRefused, anyReply(func(_ *Scenario, reply []byte) bool { return bareCode.Match(reply) })},
	{smtp.AuthWithoutOffer, offered(func(words []string) bool { return words == nil })},
	{smtp.PlainWithoutOffer, offered(func(words []string) bool {
		return words != nil && !slices.Contains(words, "PLAIN") && !slices.Contains(words, "LOGIN")
	})},
	{smtp.AuthTypeSticks, func(s *Scenario) bool { return len(s.Server) > 1 }},
	{smtp.AuthRepeated, sent("AUTH ")},
	{smtp.LoginPromptExact, sent("AUTH LOGIN")},
	{smtp.EmptyCredentialsSent, func(s *Scenario) bool { return s.text(nil, "username") == "" || s.text(nil, "password") == "" }},
	{smtp.AuthorizationIsUsername, sent("AUTH PLAIN")},
	{smtp.EightBitUndeclared, func(s *Scenario) bool {
		return sent("To: ")(s) || anyText(func(name, text string) bool {
			return (name == "from" || name == "rcpt") && strings.ContainsFunc(text, func(r rune) bool { return r > '~' })
		})(s)
	}},
	{smtp.SubjectRaw, anyText(func(name, text string) bool {
		return name == "subject" && (len(text) > 60 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }))
	})},
	{smtp.NoDateNoMessageID, sent("To: ")},
	{smtp.CreateUnchecked, func(s *Scenario) bool {
		port := s.config("port", 25)
		return s.config("tcp_on", 1) == 0 || port < 1 || port > 65535 || s.config("pool_count", 16) == 0 ||
			s.config("pool_payload", 1536) <= headers(s)+16 || s.twice("create")
	}},
	{smtp.ShortTimeouts, func(s *Scenario) bool { return s.longestTicks() >= 400 }},
	{smtp.KeywordAnywhere, anyReply(func(_ *Scenario, reply []byte) bool { return strangeOffer(reply) })},
	{smtp.NoHELO, func(s *Scenario) bool {
		return s.text(nil, "domain") == "" || s.anyReply(func(_ *Scenario, reply []byte) bool {
			return slices.Contains([]string{"500", "501", "502", "504", "550"}, codeOf(reply))
		})
	}},
	{smtp.SizesFoundLate, anyText(func(name, text string) bool {
		return name == "from" && len(text) > 497 || name == "rcpt" && len(text) > 499 || name == "subject" && len(text) > 512
	})},
	{smtp.ClosingIgnored, anyReply(func(_ *Scenario, reply []byte) bool { return bytes.Contains(reply, []byte("421")) })},
	{smtp.NoneStaysNone, func(s *Scenario) bool {
		return s.Client["auth"] == "NONE" && s.anyReply(func(_ *Scenario, reply []byte) bool { return offerOf(reply) != nil })
	}},
	{smtp.PriorityUnused, func(s *Scenario) bool { p := number(s.Client, "priority", 2); return p == 1 || p == 4 }},
	{smtp.BracketsDoubled, anyText(func(name, text string) bool {
		return (name == "from" || name == "rcpt") && strings.HasPrefix(text, "<") && strings.HasSuffix(text, ">")
	})},
	{smtp.CodeAnywhere, anyReply(func(s *Scenario, reply []byte) bool { return !wellFormed.Match(reply) || cut(s, reply) })},
	{smtp.TimeoutRestarts, func(s *Scenario) bool { return s.does("wait") }},
	{smtp.EarlyReplyTaken, func(s *Scenario) bool { return !s.tidy() || s.outOfStep() || s.longestTicks() > 0 }},
	{smtp.LastWordsLost, func(s *Scenario) bool { return s.does("close") || s.does("reset") || s.does("stop") || !s.tidy() }},
	{smtp.BusyPoolIsEmpty, func(s *Scenario) bool { return s.longestTicks() >= 200 }},
	{smtp.EmptyRecipientSent, anyText(func(name, text string) bool { return name == "rcpt" && text == "" })},
	{smtp.MessageInPieces, sent("DATA")},
}

var (
	leadingDot = regexp.MustCompile(`(^|\n)\.`)
	loneBreak  = regexp.MustCompile(`(^|[^\r])\n|\r([^\n]|$)`)
	bareCode   = regexp.MustCompile(`(?m)^[0-9]{3}\r?$`)
	wellFormed = regexp.MustCompile(`^([0-9]{3}([ -][^\r\n]*)?\r\n)+$`)
	digits     = regexp.MustCompile(`[0-9]{3}`)
)

// headers is the room that a segment's headers take in a packet.
func headers(s *Scenario) int {
	if s.AF == 6 {
		return 60
	}
	return 40
}

// anyReply holds when something that a script sends does.
func anyReply(holds func(*Scenario, []byte) bool) func(*Scenario) bool {
	return func(s *Scenario) bool { return s.anyReply(holds) }
}

func (s *Scenario) anyReply(holds func(*Scenario, []byte) bool) bool {
	for _, script := range s.Server {
		for _, step := range script {
			for _, action := range step.Do {
				if text, ok := action[len(action)-1].(string); ok && action[0] == "send" && holds(s, Bytes(text)) {
					return true
				}
			}
		}
	}
	return false
}

// does tells that a script has an action.
func (s *Scenario) does(what string) bool {
	return slices.ContainsFunc(s.Server, func(script []ServerStep) bool {
		return slices.ContainsFunc(script, func(step ServerStep) bool {
			return slices.ContainsFunc(step.Do, func(action []any) bool { return action[0] == what })
		})
	})
}

// tidy tells that each step of each script sends one whole reply at most.
func (s *Scenario) tidy() bool {
	for _, script := range s.Server {
		for _, step := range script {
			replies := 0
			for _, action := range step.Do {
				if action[0] == "send" {
					replies++
				}
			}
			if replies > 1 {
				return false
			}
		}
	}
	return !s.anyReply(func(s *Scenario, reply []byte) bool {
		return !oneReply(reply) || cut(s, reply)
	})
}

// cut tells that a reply takes more than one segment.
func cut(s *Scenario, reply []byte) bool { return len(reply)+headers(s) > s.config("mtu", 1500) }

// chained tells that a reply takes more than one packet of the client's
// instance.
func chained(s *Scenario, reply []byte) bool {
	return min(len(reply)+headers(s), s.config("mtu", 1500)) > s.config("ip_pool_payload", 1536)
}

// outOfStep tells that the server answered something before the client was
// done with it: what a step of a script waited for ended inside a segment.
func (s *Scenario) outOfStep() bool {
	connections, _ := s.Result["conns"].([]any)
	for k, v := range connections {
		connection, _ := v.(map[string]any)
		ends, at := map[float64]bool{}, 0.
		lengths, _ := recordedConnection(connection)["segment_lengths"].([]any)
		for _, n := range lengths {
			n, _ := n.(float64)
			at += n
			ends[at] = true
		}
		at = 0
		units, _ := connection["unit_lengths"].([]any)
		for i, n := range units {
			n, _ := n.(float64)
			at += n
			if k < len(s.Server) && i+1 < len(s.Server[k]) && !ends[at] {
				return true
			}
		}
	}
	return false
}

// strangeCode tells that a reply has a code that would do by its first digit,
// though it is not the one that belongs there.
func (s *Scenario) strangeCode() bool {
	for _, script := range s.Server {
		for _, step := range script {
			known := []string{"250", "354", "334", "235", "221"}
			if step.On == "connect" {
				known = []string{"220"}
			}
			for _, action := range step.Do {
				text, ok := action[len(action)-1].(string)
				if code := codeOf(Bytes(text)); ok && action[0] == "send" && (code[0] == '2' || code[0] == '3') && !slices.Contains(known, code) {
					return true
				}
			}
		}
	}
	return false
}

// oneReply tells that a text is one reply, all its lines with one code and only
// the last of them final.
func oneReply(text []byte) bool {
	if !wellFormed.Match(text) {
		return false
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\r\n"), "\r\n")
	for i, line := range lines {
		more := len(line) > 3 && line[3] == '-'
		if line[:3] != lines[0][:3] || more == (i == len(lines)-1) {
			return false
		}
	}
	return true
}

// codeOf is the first three digits of a reply.
func codeOf(reply []byte) string {
	if code := digits.Find(reply); code != nil {
		return string(code)
	}
	return "000"
}

// offerOf is the mechanisms of an EHLO reply's AUTH line, nil without one.
func offerOf(reply []byte) []string {
	for line := range strings.SplitSeq(strings.ToUpper(string(reply)), "\r\n") {
		if len(line) < 8 || !strings.HasPrefix(line[4:], "AUTH") || line[8:] != "" && !strings.ContainsAny(line[8:9], " =") {
			continue
		}
		return append([]string{}, strings.FieldsFunc(line[8:], func(r rune) bool { return r == ' ' || r == '=' })...)
	}
	return nil
}

// offered holds when a client for LOGIN or PLAIN meets an EHLO reply whose
// mechanisms do.
func offered(holds func([]string) bool) func(*Scenario) bool {
	return func(s *Scenario) bool {
		if s.Client["auth"] == "NONE" {
			return false
		}
		return s.anyReply(func(_ *Scenario, reply []byte) bool { return codeOf(reply) == "250" && holds(offerOf(reply)) })
	}
}

// strangeOffer tells that a reply has the words of an offer where none is.
func strangeOffer(reply []byte) bool {
	text := strings.ToUpper(string(reply))
	words := strings.Contains(text, "AUTH") || strings.Contains(text, "LOGIN") || strings.Contains(text, "PLAIN")
	if !words {
		return false
	}
	offer := offerOf(reply)
	return offer == nil || codeOf(reply) != "250" || !oneReply(reply) ||
		strings.Contains(text, "LOGIN") != slices.Contains(offer, "LOGIN") || strings.Contains(text, "PLAIN") != slices.Contains(offer, "PLAIN") ||
		strings.Count(text, "AUTH") > 1
}

// anyBody holds when the body of a mail does.
func anyBody(holds func([]byte) bool) func(*Scenario) bool {
	return func(s *Scenario) bool {
		return slices.ContainsFunc(s.Ops, func(op map[string]any) bool {
			body := s.body(op)
			if n, ok := op["len"].(float64); ok {
				body = body[:min(int(n), len(body))]
			}
			return op["op"] == "send" && holds(body)
		})
	}
}

// anyText holds when an argument of the client does.
func anyText(holds func(name, text string) bool) func(*Scenario) bool {
	return func(s *Scenario) bool {
		return slices.ContainsFunc(s.Ops, func(op map[string]any) bool {
			return slices.ContainsFunc([]string{"from", "rcpt", "subject", "domain", "username", "password"}, func(name string) bool {
				return holds(name, s.text(op, name))
			})
		})
	}
}

// sent holds when the server was recorded receiving a line that begins so,
// however it was cut.
func sent(prefix string) func(*Scenario) bool {
	return func(s *Scenario) bool {
		connections, _ := s.Result["conns"].([]any)
		return slices.ContainsFunc(connections, func(c any) bool {
			connection, _ := c.(map[string]any)
			heard := "\n"
			if stream, ok := connection["stream"].(map[string]any); ok {
				text, _ := stream["data"].(string)
				head, _ := stream["head"].(string)
				heard += text + head
			}
			segments, _ := connection["segments"].([]any)
			for _, v := range segments {
				text, _ := v.(string)
				heard += text
			}
			return strings.Contains(heard, "\n"+prefix)
		})
	}
}

// twice tells that the program makes a call more than once.
func (s *Scenario) twice(name string) bool {
	n := 0
	for _, op := range s.Ops {
		if op["op"] == name {
			n++
		}
	}
	return n > 1
}
