package leasemodel

// Times of the model, in ticks. A tick is what the protocol can at best tell
// apart; what matters is their order, not their size.
const (
	// lease is F: how long a node trusts a granted renewal, from the moment it sent it.
	lease = 1
	// drift is by how much a clock may be wrong over one of these times, fast or slow.
	drift = 1
	// kill is K: how long after the order to kill the process may still run.
	kill = 1
	// epsilon makes "not before" strict.
	epsilon = 1

	// trusted is how long a node with the slowest clock trusts a renewal.
	trusted = lease + drift
	// mortal is the real time after which its exclusive process is dead for certain.
	mortal = trusted + kill
	// wait is the least real time after which the leader with the fastest clock finds
	// W = lease + kill + 2*drift + epsilon to be over.
	wait = lease + kill + drift + epsilon

	// never is an age that counts as no grant at all: nothing younger is too old.
	never = wait + 1

	// epochs is how many lives there is room for.
	epochs = 3
	// bag is how many messages of a kind and node there is room for.
	bag = 2
)

// Rule is one thing that the protocol demands. The model can leave any of them
// out, to show that it would notice.
type Rule int

// The rules of the protocol, by what happens without them.
const (
	// None leaves the protocol whole.
	None Rule = iota
	// ShortWait: the leader replaces after F only, not after F + K and the clocks' error.
	ShortWait
	// NewLeaderDoesNotWait: a new leader holds nodes it has not heard for expired.
	NewLeaderDoesNotWait
	// GrantWithoutVerify: the leader grants without asking whether it still leads.
	GrantWithoutVerify
	// VerifyBeforeReceipt: a verification that began before the renewal arrived will do.
	VerifyBeforeReceipt
	// KeeperMissing: the agent alone kills at the deadline.
	KeeperMissing
	// HoldRevives: a keeper that is told a new deadline forgets that the old one has passed.
	HoldRevives
	// RestartTrustsNow: an agent that begins anew counts its lease from now.
	RestartTrustsNow
	// TrustFromReceipt: the lease is counted from the grant's arrival.
	TrustFromReceipt
	// StartWithoutLease: an exclusive life begins as soon as it is ordered.
	StartWithoutLease
	// StartBeforeFence: the loss of the node alone gives its exclusive lives away.
	StartBeforeFence
	// GrantWhileCondemning: renewals are granted while the fencing is under way.
	GrantWhileCondemning
	// RenewBeforeOrders: the agent renews before it knows the new session's orders.
	RenewBeforeOrders
	// OrdersOutliveSession: what a new session does not name stays ordered.
	OrdersOutliveSession
	// GrantOutlivesSession: a renewal of a former session is granted in the next.
	GrantOutlivesSession
	// OrderBeforeCommit: orders follow from proposals, not from what is committed.
	OrderBeforeCommit
	// ReuseEpoch: the next life gets the epoch of the one before.
	ReuseEpoch
	// DedupeOff: an exit counts for the present life, whichever it was of.
	DedupeOff
	// ResourceDoesNotCheck: the outside resource ignores epochs.
	ResourceDoesNotCheck
	rules
)

var ruleNames = [...]string{
	"none", "short-wait", "new-leader-does-not-wait", "grant-without-verify", "verify-before-receipt",
	"keeper-missing", "hold-revives", "restart-trusts-now", "trust-from-receipt", "start-without-lease",
	"start-before-fence", "grant-while-condemning", "renew-before-orders", "orders-outlive-session", "grant-outlives-session",
	"order-before-commit", "reuse-epoch", "dedupe-off", "resource-does-not-check",
}

func (r Rule) String() string { return ruleNames[r] }

// Scope is what one exploration may do.
type Scope struct {
	// Without is the rule that is left out.
	Without Rule
	// Crashes, Pauses and Freezes are how many there may be of each: an agent
	// killed, an agent stopped, a whole node (agent, keeper and child) stopped.
	Crashes, Pauses, Freezes uint8
	// Elections is how often the leader is replaced: 0 or 1.
	Elections uint8
	// Lives is how many lives of the child there are at most, 1 to 3.
	Lives uint8
	// Connects is how many sessions may be opened after the first ones.
	Connects uint8
	// Bag is how many messages of a kind and node are under way at most, 1 or 2; a
	// further one displaces the oldest, which is as good as lost.
	Bag int
	// Resource adds an outside resource that the lives write to.
	Resource bool
	// Strict: a freeze is no excuse for two lives.
	Strict bool
	// Blind: a frozen node's own clock stands still with it, as under a hypervisor
	// that stops a machine without telling it.
	Blind bool
	// Watch are the promises that end the exploration when broken; empty: all.
	Watch []Promise
	// Limit is the largest number of states to visit; 0: all.
	Limit int
}
