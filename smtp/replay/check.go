package replay

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// What recordings may say. A word that is not among them is an error: it would
// mean something that a replay does not do.
var (
	configWords = []string{
		"mtu", "pool_payload", "pool_count", "ip_pool_payload", "ip_pool_count", "server_payload", "server_count", "shared",
		"server_window", "port", "listen_port", "tcp_on", "server_on", "target", "drop_at_start", "drop_data",
	}
	argumentWords = []string{
		"username", "password", "from", "domain", "rcpt", "subject", "body", "auth", "priority", "body_len", "body_sha256",
		"body_rule", // there is one; checkBody sees whether it is still the same
	}
	overrideWords = append([]string{"op", "null", "raw", "badip", "ipv", "len", "at_init", "port", "ticks", "note"}, argumentWords...)
	calls         = []string{"create", "send", "delete", "tcp_enable", "sleep"}
	units         = []string{"connect", "line", "message", "eomseg", "any"}

	// actions are those of the server, with the kind of their argument.
	actions = map[string]string{
		"send": "string", "wait": "float64", "close": "", "reset": "", "none": "", "drop": "float64", "stop": "",
	}
)

// check answers an error when the scenario has something that is not known.
func (s *Scenario) check() error {
	problems := []error{
		known("setting", s.Config, configWords), known("argument", s.Client, argumentWords),
	}
	if s.AF != 4 && s.AF != 6 {
		problems = append(problems, fmt.Errorf("unknown family %d", s.AF))
	}
	if lost, given := s.Config["drop_data"]; given {
		if list, ok := lost.([]any); !ok || len(list) != 2 {
			problems = append(problems, fmt.Errorf("drop_data is %v", lost))
		}
	}
	for _, op := range s.Ops {
		problems = append(problems, checkOp(op))
	}
	for _, script := range s.Server {
		for _, step := range script {
			problems = append(problems, checkStep(step))
		}
	}
	return errors.Join(append(problems, s.checkBody())...)
}

func known(what string, given map[string]any, words []string) error {
	for _, word := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(words, word) {
			return fmt.Errorf("unknown %s %q", what, word)
		}
	}
	return nil
}

func checkOp(op map[string]any) error {
	name, _ := op["op"].(string)
	_, timed := op["ticks"].(float64)
	switch {
	case !slices.Contains(calls, name):
		return fmt.Errorf("unknown call %q", name)
	case name == "sleep" && !timed:
		return errors.New("a sleep without ticks")
	}
	return known("argument of "+name, op, overrideWords)
}

func checkStep(step ServerStep) error {
	if !slices.Contains(units, step.On) {
		return fmt.Errorf("unknown unit %q", step.On)
	}
	for _, action := range step.Do {
		if len(action) == 0 {
			return errors.New("an empty action")
		}
		word, _ := action[0].(string)
		kind, ok := actions[word]
		switch {
		case !ok:
			return fmt.Errorf("unknown action %v", action)
		case kind != "" && (len(action) < 2 || fmt.Sprintf("%T", action[1]) != kind):
			return fmt.Errorf("action %v without its argument", action)
		}
	}
	return nil
}

// checkBody compares a long body with its digest.
func (s *Scenario) checkBody() error {
	want, _ := s.Client["body_sha256"].(string)
	if want == "" {
		return nil
	}
	sum := sha256.Sum256(s.body(nil))
	if got := hex.EncodeToString(sum[:]); !strings.EqualFold(got, want) {
		return fmt.Errorf("a body of %d bytes by the rule has digest %s, not %s", len(s.body(nil)), got, want)
	}
	return nil
}
