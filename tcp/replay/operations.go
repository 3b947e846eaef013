package replay

import (
	"gonetx/ip"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// operation is how a recorded call is made here. call runs in the thread of
// the caller and fills in what the call answered; holds (nil: none) names the
// instance whose mutex the service takes.
type operation struct {
	holds func(*run, Step) string
	call  func(*run, Step, map[string]any)
}

// operations are the calls that traces make, by the names of the recording.
var operations = map[string]operation{
	// What the harness of the recording does itself.
	"sleep":    {nil, (*run).sleep},
	"drop":     {nil, (*run).drop},
	"dropdata": {nil, (*run).dropData},
	"link":     {nil, (*run).link},
	"pools":    {nil, (*run).pools},

	// Sockets.
	"socket":           {ofInstance, (*run).socketCreate},
	"delete":           {ofSocket, socketService(tcp.SocketDelete)},
	"bind":             {ofSocket, (*run).bind},
	"unbind":           {ofSocket, socketService(tcp.ClientSocketUnbind)},
	"port_get":         {ofSocket, (*run).portGet},
	"connect":          {ofSocket, (*run).connect},
	"connect4":         {ofSocket, (*run).connect},
	"connect_fam":      {ofSocket, (*run).connect},
	"connect_null":     {ofSocket, (*run).connect},
	"listen":           {ofInstance, (*run).listen},
	"accept":           {ofSocket, (*run).accept},
	"relisten":         {ofInstance, (*run).relisten},
	"unaccept":         {ofSocket, socketService(tcp.ServerSocketUnaccept)},
	"unlisten":         {ofInstance, (*run).unlisten},
	"send":             {ofSocket, (*run).send},
	"send_null":        {ofSocket, (*run).sendNull},
	"recv":             {ofSocket, (*run).receive},
	"recv_null":        {ofSocket, nullOutput},
	"disconnect":       {ofSocket, (*run).disconnect},
	"on_receive":       {ofSocket, (*run).receiveNotify},
	"on_window":        {ofSocket, (*run).windowUpdateNotify},
	"on_establish":     {ofSocket, notification("establish", tcp.SocketEstablishNotify)},
	"on_disc_complete": {ofSocket, notification("disconnect complete", tcp.SocketDisconnectCompleteNotify)},
	"on_timed_wait":    {ofSocket, notification("timed wait", tcp.SocketTimedWaitCallback)},
	"on_queue":         {ofSocket, notification("queue depth", tcp.SocketQueueDepthNotifySet)},
	"info":             {ofSocket, (*run).socketInfo},
	"info_null_args":   {ofSocket, (*run).socketInfoNull},
	"mss_get":          {ofSocket, socketNumber("mss", tcp.SocketMSSGet)},
	"mss_peer":         {ofSocket, socketNumber("mss", tcp.SocketMSSPeerGet)},
	"mss_set":          {ofSocket, (*run).mssSet},
	"avail":            {ofSocket, socketNumber("bytes", tcp.SocketBytesAvailable)},
	"peer":             {ofSocket, (*run).peer},
	"peer4":            {ofSocket, (*run).peer4},
	"state_wait":       {ofSocket, (*run).stateWait},
	"txconf":           {ofSocket, (*run).transmitConfigure},
	"rxmax":            {ofSocket, (*run).receiveQueueMax},
	"socket_opts":      {ofInstance, shifted},
	"socket_bad_size":  {ofInstance, blockSize},

	// TCP of an instance.
	"tcp_enable": {ofInstance, instanceService(tcp.Enable)},
	"free_port":  {ofInstance, (*run).freePort},
	"tcpinfo":    {ofInstance, (*run).tcpInfo},

	// IP.
	"xpool":              {nil, (*run).poolCreate},
	"ip_create":          {nil, (*run).ipCreate},
	"ip_create_bad_size": {nil, blockSize},
	"ip_delete":          {nil, instanceService(ip.Delete)},
	"ip_status":          {ofInstance, (*run).status},
	"if_status":          {ofInstance, (*run).interfaceStatus},
	"addr_get":           {ofInstance, (*run).addressGet},
	"addr_set":           {ofInstance, (*run).addressSet},
	"if_addr_set":        {ofInstance, (*run).interfaceAddressSet},
	"if_info":            {ofInstance, (*run).interfaceInfo},
	"mtu_set":            {ofInstance, (*run).mtuSet},
	"gw_set":             {ofInstance, (*run).gatewaySet},
	"gw_get":             {ofInstance, (*run).gatewayGet},
	"gw_clear":           {ofInstance, instanceService(ip.GatewayAddressClear)},
	"ip_info":            {ofInstance, (*run).ipInfo},
	"arp_enable":         {ofInstance, (*run).arpEnable},

	// ICMP and IPv6.
	"icmp_enable": {ofInstance, (*run).icmpEnable},
	"icmp_info":   {ofInstance, (*run).icmpInfo},
	"ping":        {ofInstance, (*run).ping},
	"ping4":       {ofInstance, (*run).ping},
	"ping_ver":    {ofInstance, (*run).ping},
	"ping_null":   {ofInstance, (*run).ping},
	"v6_enable":   {ofInstance, instanceService(ip.IPv6Enable)},
	"v6_disable":  {ofInstance, instanceService(ip.IPv6Disable)},
	"v6_set":      {ofInstance, (*run).ipv6Set},
	"v6_ll":       {ofInstance, (*run).ipv6Set},
	"v6_get":      {ofInstance, (*run).ipv6Get},
	"v6_del":      {ofInstance, (*run).ipv6Delete},
	"v6_state":    {ofInstance, (*run).ipv6State},
}

// byHarness are the calls that the controller does without a thread: they
// never wait, or they are the passing of time.
var byHarness = map[string]bool{"sleep": true, "drop": true, "dropdata": true, "link": true, "pools": true}

func ofInstance(_ *run, s Step) string { return s.text("ip") }

func ofSocket(r *run, s Step) string { return r.slot(s).on.name }

// answered puts the status of a service into a result.
func answered(out map[string]any, err error) { out["status"] = float64(nx.Code(err)) }

// Inexpressible is the field of a result that says why a recorded call cannot
// be made in Go; its value is one of the reasons below.
const Inexpressible = "inexpressible"

// Reasons why a call cannot be made in Go.
const (
	NullOutput  = "a result has no pointer that could be NULL"
	BlockSize   = "the size of a control block is the compiler's"
	MemoryArea  = "a memory area is its size, and has no address that could be NULL"
	ShiftedCall = "the arguments of the recorded call are not the ones that it lists"
)

func nullOutput(_ *run, _ Step, out map[string]any) { out[Inexpressible] = NullOutput }
func blockSize(_ *run, _ Step, out map[string]any)  { out[Inexpressible] = BlockSize }
func shifted(_ *run, _ Step, out map[string]any)    { out[Inexpressible] = ShiftedCall }

// instanceService is a service that takes an instance and answers a status.
func instanceService(f func(*ip.Instance) error) func(*run, Step, map[string]any) {
	return func(r *run, s Step, out map[string]any) { answered(out, f(r.instance(s))) }
}

// socketService is a service that takes a socket and answers a status.
func socketService(f func(*tcp.Socket) error) func(*run, Step, map[string]any) {
	return func(r *run, s Step, out map[string]any) { answered(out, f(r.socket(s))) }
}

// socketNumber is a service that answers a number of a socket.
func socketNumber(name string, f func(*tcp.Socket) (uint32, error)) func(*run, Step, map[string]any) {
	return func(r *run, s Step, out map[string]any) {
		if s.number("null_out") != 0 {
			nullOutput(r, s, out)
			out[name] = 0.
			return
		}
		n, err := f(r.socket(s))
		answered(out, err)
		out[name] = float64(n)
	}
}

// notification is a service that registers a callback of the optional kind.
func notification(what string, f func(*tcp.Socket, func(*tcp.Socket)) error) func(*run, Step, map[string]any) {
	return func(r *run, s Step, out map[string]any) {
		name := r.slot(s).name
		answered(out, f(r.socket(s), func(*tcp.Socket) { r.called("%s %s", what, name) }))
	}
}
