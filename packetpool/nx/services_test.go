package nx_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write SERVICES.md")

// SERVICES.md is made from the declarations and their comments: each exported
// function names the services of NetX Duo that it stands for.
func TestServicesFile(t *testing.T) {
	root := moduleRoot(t)
	var b strings.Builder
	b.WriteString("# NetX Duo's services and their Go form\n\n")
	b.WriteString("Made from the code by `go test ./packetpool/nx -run TestServicesFile -update`; a test keeps it so.\n" +
		"An `nx_` and an `nxd_` service that do the same are one function. `go doc gonetx/tcp SocketSend` and the like have\n" +
		"the errors of each in the order in which they are checked, and say who owns the packet.\n")
	seen := make(map[string]string)
	counts := make(map[string]int)
	for _, pkg := range []string{"packetpool", "ip", "tcp", "smtp"} {
		rows := servicesOf(t, root, pkg)
		for _, r := range rows {
			for _, c := range r.c {
				assert.Empty(t, seen[c], "%s is both %s and %s.%s", c, seen[c], pkg, r.name)
				seen[c] = pkg + "." + r.name
				counts[pkg]++
			}
		}
		fmt.Fprintf(&b, "\n## %s: %d services\n\n| NetX Duo | Go | What it does |\n|---|---|---|\n", pkg, counts[pkg])
		for _, r := range rows {
			fmt.Fprintf(&b, "| `%s` | `%s.%s` | %s |\n", strings.Join(r.c, "`<br>`"), pkg, r.signature, r.does)
		}
	}
	// As many as nx_api.h and nxd_smtp_client.h have: of ip without
	// nx_http_proxy_client_enable, which is compiled out, and with the two macros
	// of nxd_ipv6_address_set.
	assert.Equal(t, map[string]int{"packetpool": 13, "ip": 96, "tcp": 35, "smtp": 3}, counts)

	path := filepath.Join(root, "packetpool/nx/SERVICES.md")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o644))
	}
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, b.String(), string(written), "run the command in its head")
}

// service is an exported function that stands for services of NetX Duo.
type service struct {
	name, signature, does string
	c                     []string
}

var cName = regexp.MustCompile(`\bnxd?_[a-z0-9_]+`)

// servicesOf answers the services of a package, in the order of their names in C.
func servicesOf(t *testing.T, root, pkg string) (rows []service) {
	t.Helper()
	files := token.NewFileSet()
	names, err := filepath.Glob(filepath.Join(root, pkg, "*.go"))
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, name, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !f.Name.IsExported() {
				continue
			}
			first := new(doc.Package).Synopsis(f.Doc.Text())
			var c []string
			for _, name := range cName.FindAllString(first, -1) {
				if standsFor(f.Name.Name, name) && !slices.Contains(c, name) {
					c = append(c, name)
				}
			}
			if len(c) > 0 {
				rows = append(rows, service{f.Name.Name, signature(t, files, f), does(first, f.Name.Name), c})
			}
		}
	}
	slices.SortFunc(rows, func(a, b service) int { return strings.Compare(a.c[0], b.c[0]) })
	return rows
}

// standsFor tells whether a function is named after a service: without the
// prefix and the module, and where one function of a pair is for IPv4 only, with
// that said.
func standsFor(name, c string) bool {
	_, c, _ = strings.Cut(c, "_")
	c = strings.ReplaceAll(c, "_", "")
	name = strings.ToLower(name)
	return strings.HasSuffix(c, name) || strings.HasSuffix(c, strings.ReplaceAll(strings.Replace(name, "ipv4", "", 1), "v4", ""))
}

func signature(t *testing.T, files *token.FileSet, f *ast.FuncDecl) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, printer.Fprint(&b, files, &ast.FuncDecl{Name: f.Name, Type: f.Type}))
	return strings.Join(strings.Fields(strings.TrimPrefix(b.String(), "func ")), " ")
}

// does is the first sentence of a comment, without the names.
func does(first, name string) string {
	first = strings.TrimPrefix(first, name+" ")
	if i := strings.Index(first, ": nx"); i > 0 {
		return first[:i]
	}
	if i := strings.Index(first, ", nx"); i > 0 {
		return first[:i]
	}
	return strings.TrimSuffix(first, ".")
}
