package main

import (
	"bytes"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"gonetx/cmd/nxduo/internal/ladder"
	"gonetx/packetpool/nx"
	"gonetx/smtp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// safeBuffer is a buffer for two goroutines.
type safeBuffer struct {
	mu sync.Mutex // guards the field below
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A mail that takes long says what it waits for.
func TestProgress(t *testing.T) {
	w, err := ramWorld()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.close()) })
	rec := ladder.New(false)
	s := &stack{}
	require.NoError(t, s.up(stackConfig{
		name: "client", ipPool: guideIPPool, clientPool: guideClientPool,
		addresses: []netip.Prefix{client4}, driver: w.driver, recorder: rec,
	}))
	t.Cleanup(func() { require.NoError(t, s.down()) })

	at := netip.AddrPortFrom(server4.Addr(), 25)
	l, err := w.listen(at)
	require.NoError(t, err)
	turn := make(chan struct{}) // lets the server say the next thing
	speaking(t, l, func(c net.Conn) {
		<-turn
		_, _ = c.Write([]byte("220 hi\r\n"))
		reads(c, "EHLO")
		<-turn
	})
	client := &smtp.Client{Config: &smtp.Config{QuitTimeout: nx.Ticks(time.Second)}}
	require.NoError(t, smtp.ClientCreate(client, &s.inst, &s.clientPool, "", "", "a@b", "b", smtp.AuthNone, at.Addr(), 25))
	var out safeBuffer
	v := newView(client, rec, &plan{at: at, body: []byte("Hello.")}, &out)
	assert.Equal(t, logPace, v.pace, "a buffer is no terminal")
	v.pace = time.Millisecond
	v.start()
	ended := make(chan error)
	go func() { ended <- smtp.MailSend(client, "c@d", smtp.PriorityNormal, "", []byte("Hello.")) }()
	shows := func(text string) {
		require.Eventually(t, func() bool { return bytes.Contains([]byte(out.String()), []byte(text)) }, 10*time.Second, time.Millisecond, text)
	}
	shows("s: waiting for the greeting of 1.2.3.4:25\n")
	turn <- struct{}{}
	shows("s: waiting for the reply to EHLO\n")
	turn <- struct{}{}
	require.Error(t, <-ended)
	v.stop()
	require.NoError(t, smtp.ClientDelete(client))
}
