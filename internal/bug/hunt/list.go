package main

import (
	"strings"
	"time"
)

// bug is one seeded bug, and who must catch it.
type bug struct {
	name    string
	promise string // of the design
	what    string // it does
	// pkg is the package of the checker, test its test; a slash leads to a subtest.
	pkg, test string
	// says must stand in what the checker prints; empty: that the test has failed.
	says   string
	env    []string
	budget time.Duration // 0: 30 s
	// explored: the exploration of the core in small scopes must find it, too.
	explored bool
}

// exploration is that checker.
func (b bug) exploration() bug {
	return bug{
		name: b.name, pkg: "internal/explore", test: "TestScopes", says: "VIOLATION", budget: 3 * time.Minute,
		env: []string{"SELFWARE_EXPLORE=1"},
	}
}

func (b bug) limit() time.Duration {
	if b.budget == 0 {
		return 30 * time.Second
	}
	return b.budget
}

// pattern is the argument of -test.run.
func (b bug) pattern() string {
	parts := strings.Split(b.test, "/")
	for i, p := range parts {
		parts[i] = "^" + p + "$"
	}
	return strings.Join(parts, "/")
}

// blamed: the checker itself has failed, not something on the way to it.
func (b bug) blamed(output string) bool {
	if b.says != "" {
		return strings.Contains(output, b.says)
	}
	top, _, _ := strings.Cut(b.test, "/")
	return strings.Contains(output, "--- FAIL: "+top)
}

// bugs are all that are seeded, by layer. Checkers are as near to their bug as may
// be, so that they are fast; what only the whole can show is left to the whole.
var bugs = []bug{
	{name: "escalate-late", promise: "P10", what: "gives up one crash too late", pkg: "supervisor", test: "TestScripts", explored: true},
	{name: "charge-twice", promise: "P3", what: "a crash is charged twice", pkg: "supervisor", test: "TestScripts", explored: true},
	{name: "stopped-starts-again", promise: "P11", what: "a group restart starts what an operator stopped", pkg: "supervisor", test: "TestScripts", explored: true},
	{name: "group-order-ignored", promise: "P4", what: "children do not wait for their elder siblings", pkg: "supervisor", test: "TestScripts", explored: true},
	{name: "dependency-not-awaited", promise: "P4", what: "a tree starts before what it comes after is up", pkg: "supervisor", test: "TestScripts"},
	{name: "dependents-not-awaited", promise: "P4", what: "a dependency starts before the trees after it have ended", pkg: "fsm", test: "TestChainOfTrees"},
	{name: "circle-accepted", promise: "P5", what: "trees may wait for each other for ever", pkg: "fsm", test: "TestCircleOfTrees"},
	{name: "stop-order-ignored", promise: "P4", what: "elder siblings stop before the younger ones have", pkg: "supervisor", test: "TestScripts", explored: true},
	{name: "start-before-stop-confirmed", promise: "P4", what: "the next life is ordered while the old one stops", pkg: "supervisor", test: "TestScripts", explored: true},
	{name: "dedupe-off", promise: "P7", what: "an exit of a former life counts for the present one", pkg: "supervisor", test: "TestScripts", explored: true},
	{name: "node-lost-charges", promise: "P10", what: "the loss of a node spends the crash budget", pkg: "supervisor", test: "TestScripts", explored: true},
	{name: "start-before-fence", promise: "P13", what: "exclusive lives move while their node's lease may hold", pkg: "supervisor", test: "TestScripts", explored: true},
	{name: "loan-forgotten", promise: "P3", what: "what a lost node was lent is spent again elsewhere", pkg: "supervisor", test: "TestScripts"},
	{name: "pause-forgets-loan", promise: "P3", what: "an end during a pause leaves its node what it was lent", pkg: "supervisor", test: "TestScripts"},
	{name: "pause-moves-lost", promise: "P11", what: "the loss of a node moves what is paused", pkg: "supervisor", test: "TestScripts"},
	{name: "reset-frees-loans", promise: "P3", what: "a reset frees what nodes that are cut off may be using", pkg: "supervisor", test: "TestScripts"},
	{name: "word-unheard", promise: "P3", what: "what a child says of its end, and its exit rules, count for nothing", pkg: "supervisor", test: "TestRuling", explored: true},
	{name: "asks-without-end", promise: "P15", what: "a child is moved whenever it asks", pkg: "supervisor", test: "TestScripts"},
	{name: "significant-ignored", promise: "P5", what: "the end of a significant child ends no supervisor", pkg: "supervisor", test: "TestScripts", says: "auto_shutdown.txt", explored: true},
	{name: "auto-shutdown-first", promise: "P5", what: "the first significant child ends a supervisor that should wait for the last", pkg: "internal/simtest", test: "TestAutoShutdown", says: "was not the last significant child", explored: true},
	{name: "exclusive-restarts-alone", promise: "P13", what: "nodes are lent restarts of exclusive children", pkg: "supervisor", test: "TestExclusiveIsLentNothing"},
	{name: "update-parallel-ignored", promise: "P5", what: "all changed children have their turn at once", pkg: "supervisor", test: "TestRolloutReference", explored: true},
	{name: "update-without-min-ready", promise: "P5", what: "a turn is over as soon as the child is up", pkg: "supervisor", test: "TestRolloutReference", explored: true},
	{name: "update-never-reverts", promise: "P5", what: "a bad version stays where it failed", pkg: "supervisor", test: "TestScripts", explored: true},

	{name: "snapshot-forgets-window", promise: "P3", what: "a restored tree has empty windows", pkg: "fsm", test: "TestWindowSurvivesRestore"},
	{name: "wall-clock-window", promise: "P3", what: "windows go by the leader's wall clock", pkg: "fsm", test: "TestClock"},
	{name: "request-done-twice", promise: "P7", what: "a repeated request is done again", pkg: "fsm", test: "TestRepeatedRequest"},
	{name: "condition-ignored", promise: "P6", what: "a change is made although the tree was changed meanwhile", pkg: "fsm", test: "TestCompareAndSet"},
	{name: "epoch-reuse-after-restore", promise: "P1", what: "a restore does not begin a generation", pkg: "fsm", test: "TestFencesGrow"},
	{name: "quarantine-skipped", promise: "P13", what: "leases are granted right after a restore", pkg: "fsm", test: "TestQuarantine"},
	{name: "restore-partial", promise: "P8", what: "a damaged snapshot replaces the state", pkg: "fsm", test: "TestRegressions/nomad24412-partial-restore"},
	{name: "apply-undoes-scale", promise: "P2", what: "an apply sets a scaled pool back to the file's size", pkg: "supervisor", test: "TestScripts"},
	{name: "checksum-blind", promise: "P9", what: "a differing hash goes unnoticed", pkg: "fsm", test: "TestChecksum"},
	{name: "records-gap", promise: "P8", what: "trimming the event stream loses records", pkg: "fsm", test: "TestTrimming"},
	{name: "copied-data-dir-admitted", promise: "P13", what: "a node may run twice", pkg: "fsm", test: "TestStarts"},
	{name: "new-boot-keeps-lives", promise: "P5", what: "lives that a new agent lacks count as running", pkg: "fsm", test: "TestNewBootKeepsLives"},

	{name: "bad-child-blamed-on-nodes", promise: "P5", what: "a child that fails everywhere counts against every node", pkg: "fsm", test: "TestBadChild"},
	{name: "trial-never-freed", promise: "P5", what: "a trial that says nothing keeps its place for ever", pkg: "supervisor/breaker", test: "TestHalfOpenDoesNotWedge"},
	{name: "each-node-roams", promise: "P5", what: "the instance of a lost node starts on another", pkg: "placement", test: "TestScripts"},
	{name: "lost-node-holds-up-others", promise: "P5", what: "who stands after an instance on each node waits for those of lost nodes", pkg: "supervisor", test: "TestScripts"},
	{name: "instances-pile-up", promise: "P5", what: "instances of one child share a node although others have none", pkg: "placement", test: "TestScripts"},
	{name: "unhealthy-node-gets-lives", promise: "P5", what: "the circuit of a node that calls itself unhealthy stays closed", pkg: "fsm", test: "TestUnhealthyNode"},
	{name: "degraded-node-not-spared", promise: "P5", what: "placement takes no notice of degraded nodes", pkg: "placement", test: "TestScripts"},
	{name: "open-node-gets-lives", promise: "P5", what: "placement takes no notice of circuits", pkg: "placement", test: "TestScripts"},

	{name: "store-error-swallowed", promise: "P14", what: "a failed write of the log counts as done", pkg: "cluster/raftstore", test: "TestRaft614WriteError"},
	{name: "bad-disk-only-steps-down", promise: "P14", what: "a failed write does not end the process", pkg: "cluster/raftstore", test: "TestRaft614WriteError"},
	{name: "disk-hang-unnoticed", promise: "P14", what: "a write may hang for ever", pkg: "cluster/raftstore", test: "TestHang"},
	{name: "vote-two-writes", promise: "P2", what: "a crash between two writes leaves half a vote", pkg: "cluster/raftstore", test: "TestRegressions/raft661-vote-crash"},
	{name: "nosync", promise: "P2", what: "the log is not synced", pkg: "cluster/raftstore", test: "TestRegressions/nats-lazy-fsync"},
	{name: "ignored-fsync-error", promise: "P14", what: "a failed fsync of the data dir is ignored", pkg: "cluster/raftstore", test: "TestSyncDirsTells"},
	{name: "heartbeat-fast-path", promise: "P2", what: "heartbeats overtake (raft#695)", pkg: "cluster/raftnet", test: "TestRaft695Cause"},
	{name: "wrong-key-accepted", promise: "P17", what: "any key opens the cluster's port", pkg: "cluster/mux", test: "TestStrangers"},

	{name: "ack-before-commit", promise: "P2", what: "commands are acknowledged before they are committed", pkg: "cluster", test: "TestQuorumLostIsUncertain", says: "apply without a quorum: <nil>"},
	{name: "read-without-verify", promise: "P6", what: "reads believe that this node still leads", pkg: "cluster", test: "TestVerifyAsksAnew"},
	{name: "verify-by-late-answers", promise: "P6", what: "answers sent before the question confirm the leader", pkg: "cluster", test: "TestVerifyAsksAnew"},
	{name: "barrier-skipped", promise: "P6", what: "a new leader acts before it has caught up", pkg: "cluster", test: "TestLeadsOnlyWhenCaughtUp"},
	{name: "gossip-condemns", promise: "P16", what: "gossip's word alone condemns a node", pkg: "cluster", test: "TestJudge"},
	{name: "no-last-knock", promise: "P16", what: "who is back within its grace is lost all the same", pkg: "cluster", test: "TestLastKnock"},
	{name: "gossip-condemns-without-lease", promise: "P13", what: "a lost node's exclusive lives move at once", pkg: "cluster", test: "TestNextFences"},
	{name: "new-leader-does-not-wait", promise: "P13", what: "nodes not heard by this leader count as expired", pkg: "cluster", test: "TestLeaseCounts"},
	{name: "replaces-too-early", promise: "P13", what: "W is F", pkg: "cluster", test: "TestTimesLeaveRoom"},
	{name: "grant-without-verify", promise: "P13", what: "a leader grants without a majority's word", pkg: "cluster", test: "TestNoGrantWithoutAQuorum"},
	{name: "verify-before-receipt", promise: "P13", what: "a verification under way proves a later renewal", pkg: "cluster", test: "TestRenewalWaitsForItsOwnProof"},
	{name: "grant-while-condemning", promise: "P13", what: "a node is granted while its fencing is under way", pkg: "cluster", test: "TestGrantIsRefused"},
	{name: "grant-outlives-session", promise: "P13", what: "a renewal of a former session is granted", pkg: "cluster", test: "TestGrantIsRefused"},
	{name: "brake-off", promise: "P16", what: "all moves after a mass failure go at once", pkg: "cluster", test: "TestPacedMoves"},

	{name: "exclusive-starts-without-lease", promise: "P13", what: "an agent begins an exclusive life without a lease", pkg: "agent", test: "TestExclusiveLifeWaitsForTheLease"},
	{name: "trust-from-receipt", promise: "P13", what: "the lease counts from the grant's arrival", pkg: "agent", test: "TestGrantCountsFromItsRenewal"},
	{name: "agent-restart-trusts-now", promise: "P13", what: "a new agent takes its predecessor's lease for fresh", pkg: "agent", test: "TestNewAgentTrustsNoOldLease"},
	{name: "orders-outlive-session", promise: "P13", what: "what a new session does not name stays ordered", pkg: "agent", test: "TestStopsWhatIsHaltedOrDroppedOrNotNamed"},
	{name: "outdated-orders-obeyed", promise: "P12", what: "orders older than those seen are obeyed", pkg: "agent", test: "TestStaleAndRepeatedDownsAreIgnored"},
	{name: "adopt-forgets", promise: "P13", what: "a new agent does not know the lives it found", pkg: "agent", test: "TestAdoption"},
	{name: "events-lost-with-session", promise: "P5", what: "events not acknowledged are not sent again", pkg: "agent", test: "TestUnacknowledgedEventsComeAgain"},
	{name: "alone-deaf", promise: "P3", what: "a node alone restarts what is finished, or failed for good", pkg: "agent", test: "TestPlanAlone"},
	{name: "alone-without-budget", promise: "P3", what: "a node alone restarts beyond what it was lent", pkg: "agent", test: "TestPlanAlone"},

	{name: "keeper-ignores-deadline", promise: "P13", what: "the keeper does not kill at the deadline", pkg: "runner", test: "TestExclusiveWithoutAgent"},
	{name: "keeper-starts-expired", promise: "P13", what: "the keeper begins an exclusive life after the deadline", pkg: "runner", test: "TestExclusive"},
	{name: "hold-revives", promise: "P13", what: "a new deadline revives what was due by the old one", pkg: "keeper", test: "TestHoldDoesNotRevive"},
	{name: "group-left-behind", promise: "P13", what: "helpers of a process outlive it", pkg: "runner", test: "TestGroupDiesWithItsLeader"},
	{name: "killed-by-pid-alone", promise: "P13", what: "a stranger with a recycled pid is killed", pkg: "runner", test: "TestLeftoversAreNeverKilledByPidAlone"},

	{name: "api-reads-stale", promise: "P6", what: "reads are of whatever this replica holds", pkg: "api", test: "TestReadsAreVerified"},
	{name: "request-key-ignored", promise: "P7", what: "the client's key does not name its request", pkg: "api", test: "TestOneKeyIsDoneOnce"},
	{name: "foreign-host-served", promise: "P17", what: "a page of another site may use the API", pkg: "api", test: "TestHostsAndOrigins"},

	{name: "window-forgotten-on-leader-change", promise: "P3", what: "a new leader's cluster time jumps", pkg: "internal/simtest", test: "TestWindowSurvivesLeaderChange"},
}
