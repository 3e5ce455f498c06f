package main

import (
	"fmt"
	"strings"
)

// page is docs/bugs.md.
func page(results []result) string {
	var b strings.Builder
	b.WriteString(`# Seeded bugs

Written by "make bugs" (package internal/bug/hunt). Each bug is one wrong line behind a build tag; the checker beside it
must pass without it and fail with it. The time is that of the checker with the bug, on a shared machine of two cores.

The last column is the promise that the simulation of whole clusters finds broken, where it was asked and noticed; it is
the second line, and does not see disks, processes and the API.

| bug | what it does | promise | caught by | s | simulation |
|---|---|---|---|---|---|
`)
	for _, r := range results {
		took := fmt.Sprintf("%.1f", r.took.Seconds())
		if !r.caught || r.err != nil {
			took = "**not caught**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | `%s` of `%s` | %s | %s |\n", r.bug.name, r.bug.what, r.bug.promise, r.bug.test, r.bug.pkg, took, r.simulated)
	}
	return b.String()
}
