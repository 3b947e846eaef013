package smtp_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"gonetx/ip/driven"
	"gonetx/packetpool/nxtest/golden"
	"gonetx/smtp"
	"gonetx/smtp/replay"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// variants are changes to a recorded session that make one that was not
// recorded.
var variants = []struct {
	name   string
	change func(s *replay.Scenario)
}{
	{"payload 96", config("pool_payload", 96, "pool_count", 40)},
	{"payload 300", config("pool_payload", 300, "pool_count", 20)},
	{"payload 700, 3 packets", config("pool_payload", 700, "pool_count", 3)},
	{"payload 2048", config("pool_payload", 2048)},
	{"2 packets", config("pool_count", 2)},
	{"7 packets of 160", config("pool_payload", 160, "pool_count", 7)},
	{"shared, 3 packets", config("shared", 1, "ip_pool_payload", 512, "ip_pool_count", 3)},
	{"shared, 10 packets", config("shared", 1, "ip_pool_payload", 512, "ip_pool_count", 10)},
	{"small instance packets", config("ip_pool_payload", 300)},
	{"window 1", config("server_window", 1)},
	{"window 1000", config("server_window", 1000)},
	{"window 4096", config("server_window", 4096)},
	{"MTU 576", config("mtu", 576)},
	{"MTU 1280", config("mtu", 1280)},
	{"a client segment lost", func(s *replay.Scenario) { s.Config["drop_data"] = []any{0., 6.} }},
	{"a server segment lost", func(s *replay.Scenario) { s.Config["drop_data"] = []any{1., 4.} }},
	{"dark one way", config("drop_at_start", 1)},
	{"body of 1 byte", body(1)},
	{"body of 3333 bytes", body(3333)},
	{"body of 20000 bytes", body(20000)},
	{"low priority", client("priority", 1.)},
	{"high priority", client("priority", 4.)},
	{"no recipient", client("rcpt", "")},
	{"brackets", client("rcpt", "<to@example.net>")},
	{"long subject", client("subject", "a subject of eleven words that is longer than most subjects usually are")},
	{"LOGIN", client("auth", "LOGIN")},
	{"PLAIN", client("auth", "PLAIN")},
	{"long password", client("password", "12345678901234567890")},
	{"refused late", replies(5, "452 4.3.1 full\r\n")},
	{"closing", replies(2, "421 4.3.2 closing\r\n")},
	{"many lines", replies(3, "250-one\r\n250-two\r\n250 three\r\n")},
	{"no code", replies(3, "what?\r\n")},
	{"a bare code", replies(4, "250\r\n")},
	{"a late code", replies(1, "- 250 x\r\n")},
}

func config(settings ...any) func(*replay.Scenario) {
	return func(s *replay.Scenario) {
		for i := 0; i < len(settings); i += 2 {
			s.Config[settings[i].(string)] = float64(settings[i+1].(int))
		}
	}
}

func client(argument string, value any) func(*replay.Scenario) {
	return func(s *replay.Scenario) { s.Client[argument] = value }
}

func body(n int) func(*replay.Scenario) {
	return func(s *replay.Scenario) {
		s.Client["body_len"] = float64(n)
		delete(s.Client, "body_sha256")
	}
}

// replies has a step of each script say something else.
func replies(step int, text string) func(*replay.Scenario) {
	return func(s *replay.Scenario) {
		for _, script := range s.Server {
			if step < len(script) {
				script[step].Do = [][]any{{"send", text}}
			}
		}
	}
}

// Sessions that were not recorded are made in the same ways: they end, leave
// nothing behind, and what the default client does otherwise than the release is
// explained by entries of the ledger, as it is in those that were.
func TestVariants(t *testing.T) {
	t.Setenv("NX_GOLDEN", "testdata") // of these recordings, whatever others are judged
	defer driven.Session()()
	judge := golden.NewJudge("smtp variants", replay.Rules())
	all := golden.Load[replay.Scenario](t, "smtp_golden.jsonl")
	each := 8
	if testing.Short() {
		each = 1
	}
	n := 0
	for i, v := range variants {
		for k := range each {
			scenario := copyOf(t, all[(i*127+k*311)%len(all)])
			if scenario.Stopped() {
				continue // ends in a call that never returned
			}
			title := fmt.Sprintf("%s with %s", scenario.Title(), v.name)
			v.change(&scenario)
			scenario.Result = nil
			outcome, err := replay.Run(&scenario, smtp.Config{Release: true})
			assert.NoError(t, err, "%s in release mode", title)
			scenario.Result = recording(t, &outcome)
			_, err = replay.Run(&scenario, smtp.Config{})
			assert.NoError(t, err, "%s by default", title)
			entries := replay.Explain(&scenario)
			outcome, err = replay.Run(&scenario, smtp.Config{Differences: entries})
			assert.NoError(t, err, "%s as %v", title, entries)
			judge.Trace(fmt.Sprintf("%s %v", title, entries), replay.Cases(&scenario, &outcome))
			n++
		}
	}
	judge.Close(t)
	t.Logf("%d sessions that were not recorded", n)
}

func copyOf(t *testing.T, s replay.Scenario) (c replay.Scenario) {
	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &c))
	if c.Config == nil {
		c.Config = map[string]any{}
	}
	return c
}

// recording is an outcome in the shape of a recorded result.
func recording(t *testing.T, o *replay.Outcome) (result map[string]any) {
	var ops []any
	for _, op := range o.Ops {
		state := op["state"]
		c := map[string]any{"state": state}
		for k, v := range op {
			c[k] = v
		}
		ops = append(ops, c)
	}
	text, err := json.Marshal(map[string]any{"ops": ops, "conns": o.Connections, "pools": o.Pools, "wire": o.Wire})
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &result))
	return result
}

// A recording with words that are not known is not replayed in silence.
func TestUnknownWords(t *testing.T) {
	t.Setenv("NX_GOLDEN", "testdata")
	defer driven.Session()()
	first := golden.Load[replay.Scenario](t, "smtp_golden.jsonl")[0]
	for what, change := range map[string]func(*replay.Scenario){
		"unknown setting":        config("colour", 1),
		"unknown argument":       client("cc", "x"),
		"unknown family":         func(s *replay.Scenario) { s.AF = 5 },
		"unknown call":           func(s *replay.Scenario) { s.Ops[0]["op"] = "verify" },
		"unknown argument of":    func(s *replay.Scenario) { s.Ops[1]["twice"] = 1. },
		"a sleep without ticks":  func(s *replay.Scenario) { s.Ops[1]["op"] = "sleep" },
		"unknown unit":           func(s *replay.Scenario) { s.Server[0][1].On = "packet" },
		"unknown action":         func(s *replay.Scenario) { s.Server[0][1].Do = [][]any{{"shout", "x"}} },
		"without its argument":   func(s *replay.Scenario) { s.Server[0][1].Do = [][]any{{"wait"}} },
		"drop_data is":           func(s *replay.Scenario) { s.Config["drop_data"] = 1. },
		"by the rule has digest": func(s *replay.Scenario) { s.Client["body_len"], s.Client["body_sha256"] = 64., "00" },
		"an empty action":        func(s *replay.Scenario) { s.Server[0][1].Do = [][]any{{}} },
	} {
		s := copyOf(t, first)
		change(&s)
		_, err := replay.Run(&s, smtp.Config{Release: true})
		assert.ErrorContains(t, err, what)
	}
}
