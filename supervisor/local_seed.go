package supervisor

// The seed's names, where ours are shorter.
type (
	// BackoffStrategy is the wait before a restart.
	BackoffStrategy = Backoff
	// SupervisionStrategy says which siblings share a child's fate.
	SupervisionStrategy = Strategy
	// SupervisorBuilder puts a supervisor of this process together.
	SupervisorBuilder = Builder
	// SupervisorHandle is a supervisor of this process that runs.
	SupervisorHandle = Handle
)

// Events that a supervisor in a process knows besides the core's. They never reach a
// tree.
const (
	// EventHeartbeat is a sign of life.
	EventHeartbeat EventType = "heartbeat"
	// EventStuck: a component was told to stop and did not return within its grace.
	EventStuck EventType = "stuck"
	// EventReturned: a component that was stuck has returned.
	EventReturned EventType = "returned"
)

// Crashed is the event that a child failed: it is stopped, and its supervisor acts as
// if it had panicked. err may be nil.
func Crashed(child string, err error) ChildEvent {
	ev := ChildEvent{Path: child, Type: EventCrashed, Detail: "said to have crashed"}
	if err != nil {
		ev.Detail = Outcome(err).Detail
	}
	return ev
}

// Exited is the event that a child ended: it is stopped, and its supervisor acts as if
// it had ended by itself for that reason.
func Exited(child string, reason ExitReason) ChildEvent {
	return ChildEvent{Path: child, Type: EventExited, Reason: reason, Detail: "said to have exited: " + string(reason)}
}

// Heartbeat is the event that a child gave a sign of life; see Child.Heartbeat. Within
// the component, Beat does the same at less cost.
func Heartbeat(child string) ChildEvent { return ChildEvent{Path: child, Type: EventHeartbeat} }
