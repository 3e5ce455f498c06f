//go:build seeded_bugs

package bug

import "os"

// seeded is the one bug of this process; read once, so that it cannot change.
var seeded = os.Getenv("SELFWARE_BUG")

// On tells whether the bug of that name is seeded.
func On(name string) bool { return name == seeded }
