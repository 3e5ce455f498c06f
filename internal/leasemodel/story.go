package leasemodel

import "fmt"

// String tells a step in words.
//
// flat: one sentence for each deed.
func (a act) String(from, to *state) string {
	n := a.Node
	switch a.Deed {
	case tick:
		return "a tick passes"
	case connect:
		return fmt.Sprintf("%v opens a session with the leader of term %d; it holds %s", n, a.Term, life(from.Nodes[n].Runs))
	case renew:
		return fmt.Sprintf("%v sends a renewal to the leader of term %d", n, a.Term)
	case takeGrant:
		return fmt.Sprintf("%v takes a grant of term %d, for what it sent %s ago", n, a.Term, ticks(a.Arg))
	case takeOrders:
		return fmt.Sprintf("%v takes the whole of its orders: %s", n, life(a.Arg))
	case begin:
		return fmt.Sprintf("%v begins life %d", n, a.Arg)
	case report:
		return fmt.Sprintf("%v reports the end of life %d", n, a.Arg)
	case end:
		return fmt.Sprintf("life %d ends on %v", a.Arg, n)
	case write:
		if to.Written == a.Arg && to.WrittenBy == n {
			return fmt.Sprintf("life %d on %v writes to the resource, which takes it", a.Arg, n)
		}
		return fmt.Sprintf("life %d on %v writes to the resource, which has seen life %d and refuses", a.Arg, n, from.Written)
	case takeRenewal:
		return fmt.Sprintf("the leader of term %d receives %v's renewal, sent %s ago", a.Term, n, ticks(a.Arg))
	case ask:
		return fmt.Sprintf("the leader of term %d asks the others whether it leads", a.Term)
	case answer:
		return fmt.Sprintf("the leader of term %d has verified that it leads and grants %v's renewal, sent %s ago", a.Term, n, ticks(a.Arg))
	case order:
		return fmt.Sprintf("the leader of term %d orders life %d of %v", a.Term, a.Arg, n)
	case propose:
		return fmt.Sprintf("the leader of term %d proposes: %v", a.Term, a.Cmd)
	case commit:
		return fmt.Sprintf("it is committed: %v%s", a.Cmd, decided(from, to))
	case elect:
		if a.Cmd.Verb != nothing {
			return fmt.Sprintf("term %d begins, after a last entry of the old one: %v%s", a.Term, a.Cmd, decided(from, to))
		}
		return fmt.Sprintf("term %d begins; the old leader does not know", a.Term)
	case stepDown:
		return fmt.Sprintf("the leader of term %d gives up", a.Term)
	}
	return fmt.Sprintf(faultWords[a.Deed], n)
}

var faultWords = map[deed]string{
	crash:   "%v's agent is killed",
	reboot:  "%v loses power and comes back",
	restart: "%v's keeper starts an agent",
	pause:   "%v's agent is stopped",
	resume:  "%v's agent goes on",
	freeze:  "all of %v freezes: agent, keeper and child",
	thaw:    "%v thaws",
}

func life(epoch uint8) string {
	if epoch == 0 {
		return "nothing"
	}
	return fmt.Sprintf("life %d", epoch)
}

func ticks(n uint8) string {
	switch n {
	case 0:
		return "no time"
	case 1:
		return "1 tick"
	}
	return fmt.Sprintf("%d ticks", n)
}

// decided says what a commit changed for the child.
func decided(from, to *state) string {
	if from.Epoch == to.Epoch && from.Owner == to.Owner {
		return ""
	}
	return fmt.Sprintf("; life %d is %v's", to.Epoch, to.Owner)
}

func (c command) String() string {
	switch c.Verb {
	case nodeUp:
		boot := ""
		if c.Boot {
			boot = " by a new agent"
		}
		return fmt.Sprintf("%v is up%s, holding %s", c.Node, boot, life(c.Epoch))
	case nodeLost:
		return fmt.Sprintf("%v is lost, its lease may last", c.Node)
	case nodeFenced:
		return fmt.Sprintf("%v is fenced", c.Node)
	case exited:
		return fmt.Sprintf("life %d has ended", c.Epoch)
	case assign:
		return fmt.Sprintf("the life is %v's", c.Node)
	}
	return "nothing"
}
