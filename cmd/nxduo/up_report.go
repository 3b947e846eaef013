package main

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"slices"

	"gonetx/cmd/nxduo/internal/inetd"
	"gonetx/cmd/nxduo/internal/stat"
)

// upReport is what is up, as --json prints it.
type upReport struct {
	Name     string          `json:"name"`
	Process  int             `json:"pid"`
	Device   string          `json:"device"`
	MTU      uint32          `json:"mtu"`
	Offload  bool            `json:"offload"`
	Why      string          `json:"why,omitempty"` // there is no offload
	Stack    []netip.Prefix  `json:"stack"`
	Host     []netip.Prefix  `json:"host"`
	Services []inetd.Service `json:"services"`
	Socket   string          `json:"socket"` // of nxduo stat
}

func newUpReport(source stat.Source, hosts []netip.Prefix, socket string) *upReport {
	shot := stat.Take(source)
	i := &shot.Instance
	slices.SortFunc(hosts, func(a, b netip.Prefix) int { return a.Addr().BitLen() - b.Addr().BitLen() }) // as the stack's are
	return &upReport{
		Name: source.Name, Process: os.Getpid(), Device: i.Device, MTU: i.MTU, Offload: i.Offload, Why: i.Why,
		Stack: i.Addresses, Host: hosts, Services: inetd.Services, Socket: socket,
	}
}

// announce tells what there is to talk to.
func (c *upCommand) announce(u *upReport, out io.Writer) error {
	if c.JSON {
		return writeJSON(out, u)
	}
	offload := "offload"
	if !u.Offload {
		offload = "no offload: " + u.Why
	}
	fmt.Fprintf(out, "%s is up on %s, MTU %d, %s.\n", u.Name, u.Device, u.MTU, offload)
	for i, a := range u.Stack {
		fmt.Fprintf(out, "  stack %-16s host %s\n", a, u.Host[i])
	}
	fmt.Fprint(out, "It answers ping, and serves")
	for i, s := range u.Services {
		separator := ","
		if i == 0 {
			separator = ""
		}
		fmt.Fprintf(out, "%s %s %d", separator, s.Name, s.Port)
	}
	fmt.Fprintln(out, ".")
	for _, a := range u.Stack {
		fmt.Fprintf(out, "    %-25s curl http://%s/\n", "ping -c3 "+a.Addr().String(), bracketed(a.Addr()))
	}
	_, err := fmt.Fprintf(out, "    %-25s nxduo stat %s --watch\n", "tcpdump -ni "+u.Device, u.Name)
	if len(c.Command) == 0 {
		_, err = fmt.Fprintln(out, "Ctrl-C ends it.")
	}
	return err
}

func bracketed(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// environment is what a command beside the stack finds.
func (u *upReport) environment() []string {
	env := append(os.Environ(), "NXDUO_NAME="+u.Name, "NXDUO_DEVICE="+u.Device)
	for _, a := range u.Stack {
		variable := "NXDUO_IPV4="
		if a.Addr().Is6() {
			variable = "NXDUO_IPV6="
		}
		env = append(env, variable+a.Addr().String())
	}
	return env
}

// page is the web page of an instance.
func page(source *stat.Source) http.Handler {
	return inetd.Page("nxduo "+source.Name,
		func(w io.Writer) error {
			shot := stat.Take(*source)
			return shot.Print(w)
		},
		func(w io.Writer) error { return writeJSON(w, stat.Take(*source)) })
}

func addrs(prefixes []netip.Prefix) []netip.Addr {
	var list []netip.Addr
	for _, p := range prefixes {
		list = append(list, p.Addr())
	}
	return list
}

// without are the prefixes that are not there already.
func without(wanted, there []netip.Prefix) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(wanted), func(p netip.Prefix) bool { return slices.Contains(there, p) })
}
