package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The Go form in the README is a program, in another module that names this
// one by replace.
func TestReadmeProgramBuilds(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1)
	require.Len(t, found, 1)
	require.Contains(t, string(readme), "replace gonetx => ")

	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	write("main.go", `package main

import (
	"fmt"

	"gonetx/ip"
	"gonetx/ip/link/tun"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/smtp"
	"gonetx/tcp"
)

var (
	ipPool, clientPool packetpool.Pool
	inst               ip.Instance
	client             smtp.Client
	driver             = tun.New(tun.Config{})
	text               = []byte("Hello.")
)

func main() {
`+string(found[0][1])+"}\n")
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	_, dependencies, _ := strings.Cut(string(mod), "\nrequire")
	dependencies, _, _ = strings.Cut(dependencies, "\ntool")
	version := regexp.MustCompile(`(?m)^go .*$`).FindString(string(mod))
	write("go.mod", "module other\n\n"+version+"\n\nrequire gonetx v0.0.0\n\nreplace gonetx => "+root+"\n\nrequire"+dependencies+"\n")
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	write("go.sum", string(sum))

	build := exec.Command("go", "build", "-mod=mod", "-o", os.DevNull, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
