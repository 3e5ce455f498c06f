// Package keeper is the process that holds a node together: it forks the agent,
// which is all the rest of a node, and every child on the agent's behalf, and it
// outlives the agent. It knows nothing of trees: an agent says what to fork, what to
// signal, and until when exclusive children may run.
//
// # Guarantees
//
//   - Children survive their agent, however it ends, and an upgrade. The keeper has
//     a copy of each pipe that they write to, so they lose no output and get no
//     SIGPIPE; a note for each, of the agent's; and descriptors that an agent stored.
//     The next agent gets it all back, and each exit until it says that it knows.
//   - Agent and children end with the keeper. The kernel's death signal hangs on the
//     thread that forked, so the main thread forks them all, over upgrades too.
//   - Exclusive lives are killed at the moment that the agent named last, of
//     CLOCK_BOOTTIME, whatever the agent does. A thread that sleeps on a timerfd does
//     it. On its way it takes one mutex, under which nothing waits for a disk or for
//     another process, and Go's runtime never makes it wait for a fork or an exec (see
//     heap). A life that is between fork and exec at its moment executes nothing. A keeper that was asleep itself kills what is overdue first
//     thing. Without such a moment, or after it, none is begun.
//   - A process is signalled only before it is reaped, so its number is its own. When
//     a leader ends, its group, and its cgroup where there is one, are killed while
//     it is still a zombie.
//   - One keeper at a time has a data dir, and kills what an earlier one left behind
//     (package leftover), but only once an agent has the ports of the node.
//   - An agent that ends is started again, after 0.1 to 5 seconds. With code 0, which
//     it gives when its node has left the cluster or was told to end, and if no agent
//     ever ran and there are no children, the node ends with its code.
//   - Everything has a limit: 32,768 lives, 64 MiB of notes, 64 stored descriptors, and
//     what package wire says of messages.
//   - As process 1 it reaps orphans.
//
// # Upgrade
//
// Upgrade asks through keeper.sock in the data dir. The binary is asked first which
// states it reads. Then the agent is told to yield and ends without its children, and
// the main thread executes the new binary: the same process, with the same children.
// All the keeper knows is handed over in a memory file. With it goes a descriptor of
// the binary before, which is good for an exec whatever becomes of the file's name.
//
// The new binary is then on trial: its agent must run within 10 s, and for 1 s. If it
// does, the descriptor is closed, and whoever asked hears that it is done. If not, the
// keeper goes back by itself, whether somebody waits or not: it executes the former
// binary with what it knows by now, and that starts its agent, of which whoever asked
// hears, and of why. There is one way back, and no second: from then on, as ever,
// agents are started until one stays.
//
// A keeper of before has no way back to hand on, and takes none (state version 1).
// Upgrades from it and to it end with a new agent, or without.
//
// # Faults and their outcome
//
//   - The agent crashes, is killed, or exits with another code than 0: children run
//     on, exclusive ones until their moment; a new agent adopts them.
//   - The agent stands still: the same, and the keeper waits for it. It takes none of
//     what the keeper says, which is bounded by the number of lives.
//   - The keeper is killed: agent and children die at once. What the death signal does
//     not reach, helpers and programs that are set-user-ID, dies at the next start; until
//     then no moment is kept for it.
//   - The keeper stands still: nobody is forked, signalled or reaped. Exclusive lives
//     are killed by the agent (package runner, Hold); if that stands still too they run
//     on until one goes on. That is the assumption under "at most one life": one of the
//     two is scheduled within the time that cluster.Times calls Kill.
//   - A child starts helpers that leave its process group: where there is a cgroup v2
//     tree that can be written to, they end with it, at an exclusive child's moment as
//     at any end. Elsewhere they live on, beyond every promise, until the next start.
//   - The keeper's own pages are pushed out of memory and the disk hangs: it is then
//     late as if it stood still.
//   - SIGTERM, SIGINT: the agent ends its children as their specs say, within 20 s, and
//     what is left is killed. Without an agent the children get SIGTERM and 8 s.
//   - The disk hangs: forks wait for the record of lives, and so does the start of an
//     agent. Signals, reaping and deadlines do not.
//   - A file system hangs at exec: so do all forks, upgrades, and the collection of the
//     keeper's garbage; nothing else.
//   - Out of descriptors, pids or memory: that one start fails.
//   - The new binary cannot be executed, or reads no such state: nothing changes, and
//     the command says so. Its agent does not start or stay: the former binary goes
//     on, and the command says why. The former agent does not stay either, or that file
//     was overwritten meanwhile, and not replaced: the command says that too; children
//     stay, and agents go on being started.
//   - The new agent hangs: it is killed after 10 s. Exclusive children end at their moment
//     meanwhile.
//   - The new binary is killed or crashes before it has read the state: that is the
//     death of a keeper.
//
// # How it is tested
//
// With real processes: agents and keepers killed, paused and upgraded under children
// whose pids, start times and sockets must stay; and every test of package runner,
// which runs on a keeper.
package keeper
