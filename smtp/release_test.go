package smtp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

const everything = differences(1<<(differenceCount+1) - 2)

func TestReleaseCode(t *testing.T) {
	for _, row := range []struct {
		data string
		code uint
		ok   bool
	}{
		{"220 x\r\n", 220, true},
		{"220-x\r\n", 220, true},
		{"250", 250, true}, {"22", 22, true}, {"2", 2, true},
		{"250\r\n", 0, true}, {"220\r\n220 x\r\n", 220, true},
		{" 220 x", 220, true}, {"ESMTP 220 x", 220, true}, {"- 220 x", 220, true}, {"[10.0.0.1] 220 x", 220, true},
		{"22 x", 22, true},
		{"hello\r\n", 0, true}, {"\r\n", 0, true}, {"220abc\r\n", 0, true}, {"\x00\x00", 0, true},
		{"2500 x", 0, false}, {"2500-x", 0, false}, {"25000", 0, false}, {"0220 x", 0, false}, {"a1234b 220 x", 0, false},
		{"220 12345", 220, true},
	} {
		code, _, ok := releaseCode([]byte(row.data), true)
		assert.Equal(t, row.ok, ok, "%q", row.data)
		if ok {
			assert.Equal(t, row.code, code, "%q", row.data)
		}
	}
	code, end, ok := releaseCode([]byte("250\r\n"), false)
	assert.True(t, ok)
	assert.Equal(t, []any{uint(250), 3}, []any{code, end}, "BareCodeRefused off")
}

func TestPacketReplyMutes(t *testing.T) {
	for _, row := range []struct {
		data        string
		muted, mute bool
	}{
		{"250-a\r\n", false, true},
		{"250-a\r\n250 b\r\n", false, false},
		{"250-a\r\n250 b\r\n", true, false},
		{"250 a\r\n", true, false},
		{"250-a\r\n250", false, true},
		{"500 no\r\n", true, true},
		{"250", true, true},
		{"220-a\r\n", false, false},
		{"354-a\r\n", false, false},
		{"250\r\n", true, true},
	} {
		_, mute := packetReply([]byte(row.data), everything, row.muted)
		assert.Equal(t, row.mute, mute, "%q after %v", row.data, row.muted)
	}
}

func TestReleaseAuths(t *testing.T) {
	for data, want := range map[string]auths{
		"250-srv\r\n250-AUTH LOGIN PLAIN\r\n250 x\r\n": {true, true, true, true},
		"250-srv\r\n250-auth login\r\n250 x\r\n":       {true, true, false, true},
		"250-AUTH CRAM-MD5\r\n250-XLOGIN\r\n250 x":     {true, true, false, true},
		"250-author.plain.example\r\n250 x\r\n":        {true, false, true, true},
		"250 AUTH PLAIN":                               {true, false, false, true},
		"250 AUTH PLAIN\r":                             {true, false, true, true},
		"250 AUTH":                                     {},
		"250 AUTH x":                                   {},
		"250 x\r\n":                                    {},
		"":                                             {},
		"250-PLAIN\r\n250-LOGIN\r\n250 AUTH CRAM-MD5\r": {true, false, false, true},
	} {
		assert.Equal(t, want, releaseAuths([]byte(data)), "%q", data)
	}
}

func TestReleasePrompt(t *testing.T) {
	for line, want := range map[string]string{
		"334 VXNlcm5hbWU6":                      "Username:",
		"334-VXNlcm5hbWU6":                      "Username:",
		"334 VXNlcm5hbWU6 more":                 "Username:",
		"334  VXNlcm5hbWU6":                     "",
		"334 VXNlcm5hbWU6A":                     "Username:", // a character too many does not count
		"334 VXNlcm5hbWU":                       "Username",
		"334 VXNlcm5hbWU6=":                     "Username",
		"334":                                   "",
		"334 ":                                  "",
		"334 " + strings.Repeat("A", 201):       "",
		"334 VXNl\x00cm5hbWU6":                  "Use",
		"334 VXNlcg==":                          "User",
		"334 !!!!":                              "\x00\x00\x00",
		"334 VXNl=cm5hbWU6":                     "Use",
		"334 -_-_":                              "\xfb\xff\xbf",
		"ESMTP VXNlcm5hbWU6":                    "Username:",
		"334 VXNlcm5hbWU6" + "\x00" + "garbage": "Username:",
	} {
		assert.Equal(t, want, releasePrompt([]byte(line)), "%q", line)
	}
}
