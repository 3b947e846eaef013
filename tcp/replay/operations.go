package replay

import (
	"strings"

	"gonetx/ip"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// operation is how a recorded call is made here. call runs in the thread of
// the caller and fills in what the call answered; holds (nil: none) names the
// instance whose mutex the service takes; arguments are the names of those that
// call looks at.
type operation struct {
	holds     func(*run, Step) string
	arguments []string
	call      func(*run, Step, map[string]any)
}

// always are the names that any step may have beside its arguments.
var always = words("op result async_worker blocked_at_start note")

func words(text string) []string { return strings.Fields(text) }

// operations are the calls that traces make, by the names of the recording.
var operations = map[string]operation{
	// What the harness of the recording does itself.
	"sleep":    {nil, words("ticks"), (*run).sleep},
	"drop":     {nil, words("mask"), (*run).drop},
	"dropdata": {nil, words("direction index"), (*run).dropData},
	"link":     {nil, words("up ip"), (*run).link},
	"pools":    {nil, nil, (*run).pools},

	// Sockets.
	"socket":           {ofInstance, words("socket ip window callbacks"), (*run).socketCreate},
	"delete":           {ofSocket, words("socket"), socketService(tcp.SocketDelete)},
	"bind":             {ofSocket, words("socket port wait"), (*run).bind},
	"unbind":           {ofSocket, words("socket"), socketService(tcp.ClientSocketUnbind)},
	"port_get":         {ofSocket, words("socket null_out"), (*run).portGet},
	"connect":          {ofSocket, words("socket host port wait"), (*run).connect},
	"connect4":         {ofSocket, words("socket host port wait"), (*run).connect},
	"connect_fam":      {ofSocket, words("socket host port wait version"), (*run).connect},
	"connect_null":     {ofSocket, words("socket port wait"), (*run).connect},
	"listen":           {ofInstance, words("socket ip port backlog callback"), (*run).listen},
	"accept":           {ofSocket, words("socket wait"), (*run).accept},
	"relisten":         {ofInstance, words("socket ip port"), (*run).relisten},
	"unaccept":         {ofSocket, words("socket"), socketService(tcp.ServerSocketUnaccept)},
	"unlisten":         {ofInstance, words("ip port"), (*run).unlisten},
	"send":             {ofSocket, words("socket length wait packet_type packet_type_arg1"), (*run).send},
	"send_null":        {ofSocket, words("socket wait"), (*run).sendNull},
	"recv":             {ofSocket, words("socket wait"), (*run).receive},
	"recv_null":        {ofSocket, words("socket wait"), nullOutput},
	"disconnect":       {ofSocket, words("socket wait"), (*run).disconnect},
	"on_receive":       {ofSocket, words("socket off"), (*run).receiveNotify},
	"on_window":        {ofSocket, words("socket off"), (*run).windowUpdateNotify},
	"on_establish":     {ofSocket, words("socket"), notification("establish", tcp.SocketEstablishNotify)},
	"on_disc_complete": {ofSocket, words("socket"), notification("disconnect complete", tcp.SocketDisconnectCompleteNotify)},
	"on_timed_wait":    {ofSocket, words("socket"), notification("timed wait", tcp.SocketTimedWaitCallback)},
	"on_queue":         {ofSocket, words("socket"), notification("queue depth", tcp.SocketQueueDepthNotifySet)},
	"info":             {ofSocket, words("socket"), (*run).socketInfo},
	"info_null_args":   {ofSocket, words("socket"), (*run).socketInfoNull},
	"mss_get":          {ofSocket, words("socket null_out"), socketNumber("mss", tcp.SocketMSSGet)},
	"mss_peer":         {ofSocket, words("socket null_out"), socketNumber("mss", tcp.SocketMSSPeerGet)},
	"mss_set":          {ofSocket, words("socket mss"), (*run).mssSet},
	"avail":            {ofSocket, words("socket null_out"), socketNumber("bytes", tcp.SocketBytesAvailable)},
	"peer":             {ofSocket, words("socket null_arg"), (*run).peer},
	"peer4":            {ofSocket, words("socket"), (*run).peer4},
	"state_wait":       {ofSocket, words("socket state wait"), (*run).stateWait},
	"txconf":           {ofSocket, words("socket queue timeout retries shift"), (*run).transmitConfigure},
	"rxmax":            {ofSocket, words("socket max"), (*run).receiveQueueMax},
	"socket_opts":      {ofInstance, words("socket ip tos fragment ttl window"), shifted},
	"socket_bad_size":  {ofInstance, words("socket ip size window"), blockSize},

	// TCP of an instance.
	"tcp_enable": {ofInstance, words("ip"), instanceService(tcp.Enable)},
	"free_port":  {ofInstance, words("ip port null_out"), (*run).freePort},
	"tcpinfo":    {ofInstance, words("ip"), (*run).tcpInfo},

	// IP.
	"xpool":              {nil, words("payload size"), (*run).poolCreate},
	"ip_create":          {nil, words("ip address_kind mask_kind fault fault1"), (*run).ipCreate},
	"ip_create_bad_size": {nil, words("ip size"), blockSize},
	"ip_delete":          {nil, words("ip"), instanceService(ip.Delete)},
	"ip_status":          {ofInstance, words("ip needed wait null_out"), (*run).status},
	"if_status":          {ofInstance, words("ip interface needed wait"), (*run).interfaceStatus},
	"addr_get":           {ofInstance, words("ip null_arg"), (*run).addressGet},
	"addr_set":           {ofInstance, words("ip address_kind mask_kind"), (*run).addressSet},
	"if_addr_set":        {ofInstance, words("ip interface"), (*run).interfaceAddressSet},
	"if_info":            {ofInstance, words("ip interface"), (*run).interfaceInfo},
	"mtu_set":            {ofInstance, words("ip interface mtu"), (*run).mtuSet},
	"gw_set":             {ofInstance, words("ip kind"), (*run).gatewaySet},
	"gw_get":             {ofInstance, words("ip"), (*run).gatewayGet},
	"gw_clear":           {ofInstance, words("ip"), instanceService(ip.GatewayAddressClear)},
	"ip_info":            {ofInstance, words("ip"), (*run).ipInfo},
	"arp_enable":         {ofInstance, words("ip fault fault1"), (*run).arpEnable},

	// ICMP and IPv6.
	"icmp_enable": {ofInstance, words("ip v4_call"), (*run).icmpEnable},
	"icmp_info":   {ofInstance, words("ip"), (*run).icmpInfo},
	"ping":        {ofInstance, words("ip host size wait"), (*run).ping},
	"ping4":       {ofInstance, words("ip host size wait"), (*run).ping},
	"ping_ver":    {ofInstance, words("ip host version size wait"), (*run).ping},
	"ping_null":   {ofInstance, words("ip host null_arg size wait"), (*run).ping},
	"v6_enable":   {ofInstance, words("ip"), instanceService(ip.IPv6Enable)},
	"v6_disable":  {ofInstance, words("ip"), instanceService(ip.IPv6Disable)},
	"v6_set":      {ofInstance, words("ip address_kind prefix fault fault1 offset"), (*run).ipv6Set},
	"v6_ll":       {ofInstance, words("ip fault fault1"), (*run).ipv6Set},
	"v6_get":      {ofInstance, words("ip index null_arg"), (*run).ipv6Get},
	"v6_del":      {ofInstance, words("ip index"), (*run).ipv6Delete},
	"v6_state":    {ofInstance, words("ip index"), (*run).ipv6State},
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
