// Package trace writes and reads the trace of a run: what a stack did, event by
// event, in the manner of qlog (draft-ietf-quic-qlog-main-schema), one JSON
// object a line.
//
// The first line is the [Header]: what was run, with the command that repeats
// it, and the instances, pools and links that took part. Each further line is an
// [Event]: the time in milliseconds since the run of its family began, the
// family, a name "category:event", and data. The last line is "trace:end"; a
// file without it was cut off. Numbers of a connection's bytes are relative to
// its SYN, as Wireshark shows them, and absolute beside that.
//
// A version is a promise: what any program has written as version 1 is valid,
// and is read, for as long as there is a version 1. So within a version things are
// only added: events, optional fields, values. What is not written any more stays in
// the schema, marked as deprecated. A field that goes, becomes required or means
// something else takes a new version, which this package then reads beside the old.
//
// schema.json describes every line ([Schema]); [Check] holds a file against it,
// [Read] reads one.
//
// A [Writer] makes the trace while the run goes on: each family's stack gets a
// [Side] of it as its nx.Recorder.
package trace
