// Selfware-node is the whole of selfware in one binary: the node, the commands
// that look at a cluster and change it, and `dev`, which runs three nodes on one
// machine. Here are flags and wiring; what is done is done by packages node, api
// and spec.
//
// # What it decides
//
//   - Which node a command speaks to: --data or --api, then SELFWARE_DATA or
//     SELFWARE_API, then /var/lib/selfware if it is a data dir.
//   - Exit codes: 0 done, 1 refused or failed, 2 a command line that cannot be
//     meant. Errors go to stderr as "selfware-node: cannot X: why".
//   - A flag works wherever it stands, before or after arguments (arrange), or
//     is refused; none is ignored.
//
// Subpackages: show prints what the API tells, knock asks at a cluster's door
// before a data dir is written, dev runs several nodes as processes, recovery
// and replay read data dirs of stopped nodes.
//
// # Faults
//
//   - SIGINT, SIGTERM or SIGHUP: a running node stops its children, then leaves
//     the others; a second signal ends it at once, and the kernel ends its
//     children.
//   - The node cannot be reached: the error names where it was looked for and
//     how to start it.
//
// # Tests
//
// Tables of command lines for arrange; the built binary with good and bad ones,
// for its exit codes and messages; golden texts for what is printed.
package main
