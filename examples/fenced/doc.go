// Command fenced counts in a file, and is never out-counted by a ghost: each step
// checks the life's fencing token and writes in one, so a life that was frozen,
// replaced and thawed is refused.
//
//	fenced --file /var/lib/counter [--every 1s]   count, once per interval
//	fenced --file /var/lib/counter --step         count, once per line of standard input
//
// Run by selfware it finds its token in the environment (examples/fenced.yaml has it
// as an exclusive child). The count is in the file, the greatest token seen in FILE.fence.
// All lives must see the same local file, as under `selfware-node dev`; for several
// machines use a database: fenced.lua is the same step as a script of Redis.
//
// # Faults
//
//   - No token: it does not begin.
//   - A newer life has counted: exit code 3, and the file is as that one left it.
//   - A crash in the middle of a step: the old count or the new one is in the file.
//
// The test runs two of them, the older one after the newer, and the script against a
// redis-server if there is one.
package main
