package packetpool
type Pool struct{}
