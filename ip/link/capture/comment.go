package capture

import (
	"fmt"
	"strings"
	"time"

	"gonetx/packetpool/nx"
)

// comment is an event in words, for people who look at a capture. Empty: the
// event says nothing that the frames do not say themselves.
func comment(e nx.Event) string {
	switch e := e.(type) {
	case nx.DropEvent:
		return fmt.Sprintf("dropped: %s (%s)", e.Reason, e.Where)
	case nx.FaultEvent:
		return "fault: " + e.Done
	case nx.PoolEmptyEvent:
		if !e.Served {
			return fmt.Sprintf("pool %q is empty", e.Pool)
		}
		return fmt.Sprintf("pool %q was empty, a packet came after %v", e.Pool, e.Waited.Round(time.Microsecond))
	case nx.SocketEvent:
		s := fmt.Sprintf("socket %s: %s -> %s", e.Socket, e.From, e.To)
		if e.Cause != "" {
			s += " (" + e.Cause + ")"
		}
		return s
	case nx.SegmentEvent:
		if !e.Again {
			return ""
		}
		return "retransmission: " + e.Cause
	case nx.CallEvent:
		polled := e.Status == nx.NoPacket.String() && e.Took < nx.Tick // it did not wait
		if e.Status == nx.Success.String() || polled {
			return ""
		}
		return fmt.Sprintf("%s(%s) = %s after %v", e.Service, e.Object, e.Status, e.Took.Round(time.Microsecond))
	case nx.DialogueEvent:
		who := "server"
		if e.Direction == nx.Sent {
			who = "client " + e.Client
		}
		return who + ": " + dialogue(e)
	case nx.WarningEvent:
		return fmt.Sprintf("warning of %s: %s", e.Where, e.Text)
	}
	return ""
}

// dialogue is the text of an SMTP line. The layer that makes the event has
// redacted it; here nothing that belongs to an AUTH exchange passes but the
// name of the mechanism.
func dialogue(e nx.DialogueEvent) string {
	switch {
	case e.Direction != nx.Sent && e.Code != 0:
		return fmt.Sprintf("%d %s", e.Code, e.Text)
	case e.Direction != nx.Sent:
		return e.Text
	case e.Text == "":
		return fmt.Sprintf("(the mail, %d bytes)", e.Bytes)
	}
	words := strings.Fields(e.Text)
	switch {
	case len(words) > 2 && strings.EqualFold(words[0], "AUTH"):
		return strings.Join(words[:2], " ") + " (withheld)"
	case strings.Contains(strings.ToLower(e.Phase), "auth") && !(len(words) > 0 && strings.EqualFold(words[0], "AUTH")):
		return "(withheld)"
	}
	return e.Text
}

// clip makes a text fit for an option of the file: UTF-8, and of a length that
// somebody may want to read.
func clip(text string) string {
	const most = 1000
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
