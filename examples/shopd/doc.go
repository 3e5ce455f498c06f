// Command shopd is what the demo supervises: a shop of small, real servers.
//
//	shopd store  [--listen 127.0.0.1:7481]                     gives out jobs and counts them, in memory
//	shopd api    [--listen 127.0.0.1:7482] [--store HOST:PORT] HTTP over the store
//	shopd worker [--api HOST:PORT]                             takes jobs from the api, one after another
//	shopd tick   [--every 5s]                                  counts; needs nobody
//
// # Faults
//
//   - The store dies: its count is gone. The api answers 502, and ends with exit
//     code 1 once the store was away for [patience]. Under rest_for_one it never
//     gets that far: it is restarted with the store.
//   - The api dies: workers wait for it, and end with exit code 1 after [patience].
//   - A port is still held by the life before: listening is tried again for
//     [listenPatience], then the exit code is 1.
//   - SIGTERM: ends at once. There is nothing to save.
//
// The addresses are loopback ones, so all of a shop must run on one machine, as
// it does under `selfware-node dev`.
//
// Tests run the servers in-process against each other.
package main
