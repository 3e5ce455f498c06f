// Package clock makes builds of a Go program whose clocks can be set wrong while
// they run, and sets them.
//
// The build is the ordinary one with an overlay (go build -overlay) that is made
// from the Go of this machine: the functions by which the runtime reads the time
// of day and the monotonic clock, and the system calls clock_gettime and
// timerfd_settime, look into one page of memory that is shared with the tester.
// Nothing of Go's source is kept here: [Overlay] patches what is installed and
// refuses if a place that it patches is not as it knows it.
//
// # Guarantees
//
//   - Until the page says otherwise, all clocks are right.
//   - Setting a clock takes effect at the next time that it is read, in all
//     threads, also in a process that is stopped meanwhile.
//   - The monotonic clock and the boot time clock are wrong alike, and never go
//     back, whatever follows on whatever.
//   - Absolute timers of the kernel are set for the true moment. One that is set
//     already is not moved by what happens to the clock later; nor is a sleep of
//     the kernel, so a clock that jumps is noticed when the process next wakes.
//   - What was read while wrong is counted.
package clock
