package tcp_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"gonetx/ip"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/require"
)

func TestDifferencesAreShown(t *testing.T) { nxtest.Differences(t, tcp.Differences) }

var update = flag.Bool("update", false, "write the table of differences into the README")

// The README's table of differences is made of the layers' lists.
func TestReadmeTable(t *testing.T) {
	const file, begin, end = "../README.md", "<!-- differences -->\n", "<!-- end of differences -->\n"
	var table strings.Builder
	table.WriteString("\n| Difference | NetX Duo 6.4.2 | gonetx | Shown by |\n|---|---|---|---|\n")
	cell := strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;", "*", `\*`)
	for _, layer := range []struct {
		name string
		list []nx.Difference
	}{{"packetpool", packetpool.Differences}, {"ip", ip.Differences}, {"tcp", tcp.Differences}} {
		for _, d := range layer.list {
			fmt.Fprintf(&table, "| %s.%s | %s | %s | `%s` |\n", layer.name, d.Name, cell.Replace(d.NetX), cell.Replace(d.Here), d.Test)
		}
	}
	table.WriteString("\n")

	readme, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(readme), begin)
	require.True(t, ok, "the README has no place for the table")
	written, after, ok := strings.Cut(rest, end)
	require.True(t, ok, "the table has no end")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(before+begin+table.String()+end+after), 0o644))
		return
	}
	require.Equal(t, table.String(), written, "run go generate ./tcp")
}
