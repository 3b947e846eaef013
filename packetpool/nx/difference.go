package nx

// Difference is one thing that a layer does otherwise than NetX Duo 6.4.2, and
// the test that shows it. Each layer lists its own: packetpool.Differences,
// ip.Differences, tcp.Differences. The table in the README is made from them.
type Difference struct {
	Name string
	NetX string // what the original does
	Here string // what the layer does
	Why  string
	Test string // that shows it, in the package of the layer
}
