package smtp_test

import (
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"gonetx/packetpool/nxtest/golden"
	"gonetx/smtp"
	"gonetx/smtp/replay"
)

func TestZZ(t *testing.T) {
	re := regexp.MustCompile(os.Getenv("ZZ"))
	wire := os.Getenv("ZZWIRE") != ""
	n := 0
	for _, s := range golden.Load[replay.Scenario](t, "smtp_golden.jsonl") {
		if !re.MatchString(s.Title()) {
			continue
		}
		n++
		o, err := replay.Run(&s, smtp.Config{Release: true})
		if err != nil {
			fmt.Println(s.Title(), "ERR", err)
		}
		j := golden.NewJudge("x", replay.Rules())
		left := j.Trace(s.Title(), replay.Cases(&s, &o))
		if len(left) > 0 {
			fmt.Println("DISAGREE", s.Title(), len(left))
			for i, d := range left {
				if i < 12 {
					fmt.Println("    ", d)
				}
			}
		}
		if wire {
			w := wireOf(s)
			for i := 0; i < max(len(w), len(o.Wire)); i++ {
				a, b := "", ""
				if i < len(w) {
					a = w[i]
				}
				if i < len(o.Wire) {
					b = o.Wire[i]
				}
				m := " "
				if a != b {
					m = "*"
				}
				fmt.Printf("%s %-50s | %s\n", m, a, b)
			}
		}
	}
	fmt.Println(n, "scenarios")
}

func wireOf(s replay.Scenario) (out []string) {
	list, _ := s.Result["wire"].([]any)
	for _, l := range list {
		out = append(out, l.(string))
	}
	return
}

func TestZD(t *testing.T) {
	re := regexp.MustCompile(os.Getenv("ZZ"))
	n, same, bad := 0, 0, 0
	for _, s := range golden.Load[replay.Scenario](t, "smtp_golden.jsonl") {
		if !re.MatchString(s.Title()) {
			continue
		}
		n++
		t0 := time.Now()
		o, err := replay.Run(&s, smtp.Config{})
		if d := time.Since(t0); d > 300*time.Millisecond {
			fmt.Println("SLOW", s.Title(), d)
		}
		if err != nil {
			fmt.Println(s.Title(), "DEFAULT ERR", err)
		}
		j := golden.NewJudge("x", replay.Rules())
		if left := j.Trace(s.Title(), replay.Cases(&s, &o)); len(left) == 0 {
			same++
			continue
		}
		o, err = replay.Run(&s, smtp.Config{Differences: replay.Explain(&s)})
		if err != nil {
			fmt.Println(s.Title(), "ERR", err)
		}
		left := j.Trace(s.Title(), replay.Cases(&s, &o))
		if len(left) > 0 {
			bad++
			fmt.Println("DISAGREE", s.Title(), len(left), replay.Explain(&s))
			for i, d := range left {
				if i < 4 {
					fmt.Println("    ", d)
				}
			}
		}
	}
	fmt.Println(n, "scenarios", same, "same by default", bad, "bad")
}
