package cluster

import (
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/gossip"
)

// leasesOf is how long after its last renewal any node of the state may still run
// exclusive children: W of the slowest profile in use. A cluster has one profile, and
// every node of the discarded time had it too.
func leasesOf(v fsm.View) (wait time.Duration) {
	for _, n := range v.Nodes() {
		wait = max(wait, TimesOf(gossip.Profile(n.Profile)).W())
	}
	if wait == 0 { // a log cut off before its first node: there were some all the same
		wait = TimesOf(gossip.LAN).W()
	}
	return wait
}

// quarantined: no lease may be granted now, whoever asks. Of a time that is being
// discarded, or was, exclusive lives may still run that the present does not know of.
func (l *leader) quarantined(v fsm.View) bool {
	return l.n.restoring.Load() > 0 || l.now() < v.Quarantine()
}
