package spec

import (
	"time"

	"github.com/selfware/selfware/supervisor"
)

// Defaults of a probe that Parse fills in.
const (
	DefaultProbeInterval = 250 * time.Millisecond
	DefaultProbeTimeout  = time.Second
	DefaultStartTimeout  = 60 * time.Second
)

// Defaults of a liveness check that Parse fills in: those of Kubernetes.
const (
	DefaultLivenessInterval = 10 * time.Second
	DefaultLivenessTimeout  = time.Second
	DefaultFailureThreshold = 3
	DefaultSuccessThreshold = 1
)

// maxThreshold bounds how many answers in a row may be asked for.
const maxThreshold = 1000

var probeTable = table[supervisor.Probe]{name: "probe", doc: "How to find out that a started worker is up; exactly one of " + anyOf(probeSorts) + ".",
	entries: append(sortEntries("Probe", sortPlaces[supervisor.Probe]{
		tcp: func(p *supervisor.Probe) *string { return &p.TCP }, http: func(p *supervisor.Probe) *string { return &p.HTTP },
		grpc: func(p *supervisor.Probe) *string { return &p.GRPC }, exec: func(p *supervisor.Probe) *[]string { return &p.Exec },
	}),
		bind(entry[supervisor.Probe]{name: "notify", field: "Probe.Notify", examples: []any{true},
			doc: "The program itself says that it is up, as to systemd: READY=1 to the socket in NOTIFY_SOCKET (sd_notify(3), Type=notify). " +
				"With EXTEND_TIMEOUT_USEC it may put off start_timeout."},
			trueKind(), false, func(p *supervisor.Probe) *bool { return &p.Notify }),
		bind(entry[supervisor.Probe]{name: "interval", field: "Probe.Interval", doc: "Time between two attempts.", examples: []any{"500ms"}},
			durationKind(time.Millisecond, maxDuration), DefaultProbeInterval, func(p *supervisor.Probe) *time.Duration { return &p.Interval }),
		bind(entry[supervisor.Probe]{name: "timeout", field: "Probe.Timeout", doc: "Time that one attempt may take.", examples: []any{"2s"}},
			durationKind(time.Millisecond, maxDuration), DefaultProbeTimeout, func(p *supervisor.Probe) *time.Duration { return &p.Timeout }),
		bind(entry[supervisor.Probe]{name: "start_timeout", field: "Probe.StartTimeout", doc: "A worker that is not up after this long is killed, and its start has failed.", examples: []any{"30s"}},
			durationKind(time.Millisecond, maxDuration), DefaultStartTimeout, func(p *supervisor.Probe) *time.Duration { return &p.StartTimeout }),
		bind(entry[supervisor.Probe]{name: "success_threshold", field: "Probe.SuccessThreshold", doc: "Successes in a row after which the worker is up.", examples: []any{2}},
			wholeKind(1, maxThreshold), DefaultSuccessThreshold, func(p *supervisor.Probe) *int { return &p.SuccessThreshold }),
	)}

var livenessTable = table[supervisor.Liveness]{name: "liveness",
	doc: "How to find out that a worker that is up is not well any more; exactly one of " + anyOf(livenessSorts) + ". The worker's node asks.",
	entries: append(sortEntries("Liveness", sortPlaces[supervisor.Liveness]{
		tcp: func(l *supervisor.Liveness) *string { return &l.TCP }, http: func(l *supervisor.Liveness) *string { return &l.HTTP },
		grpc: func(l *supervisor.Liveness) *string { return &l.GRPC }, exec: func(l *supervisor.Liveness) *[]string { return &l.Exec },
	}),
		bind(entry[supervisor.Liveness]{name: "heartbeat", field: "Liveness.Heartbeat", examples: []any{"30s"},
			doc: "The program itself says that it is well, at least this often, as to systemd: WATCHDOG=1 to the socket in NOTIFY_SOCKET; WATCHDOG_USEC " +
				"tells it how often (sd_notify(3), WatchdogSec). It is not well when twice as long has passed without, or when it says WATCHDOG=trigger."},
			unset(durationKind(time.Millisecond, maxDuration)), 0, func(l *supervisor.Liveness) *time.Duration { return &l.Heartbeat }),
		bind(entry[supervisor.Liveness]{name: "interval", field: "Liveness.Interval", doc: "Time between two attempts. The first comes this long after the worker is up.", examples: []any{"5s"}},
			durationKind(time.Millisecond, maxDuration), DefaultLivenessInterval, func(l *supervisor.Liveness) *time.Duration { return &l.Interval }),
		bind(entry[supervisor.Liveness]{name: "timeout", field: "Liveness.Timeout", doc: "Time that one attempt may take.", examples: []any{"2s"}},
			durationKind(time.Millisecond, maxDuration), DefaultLivenessTimeout, func(l *supervisor.Liveness) *time.Duration { return &l.Timeout }),
		bind(entry[supervisor.Liveness]{name: "failure_threshold", field: "Liveness.FailureThreshold", doc: "Failures in a row after which the worker is not well.", examples: []any{1}},
			wholeKind(1, maxThreshold), DefaultFailureThreshold, func(l *supervisor.Liveness) *int { return &l.FailureThreshold }),
		bind(entry[supervisor.Liveness]{name: "success_threshold", field: "Liveness.SuccessThreshold", examples: []any{2},
			doc: "Successes in a row after which a worker with a warning is well again."},
			wholeKind(1, maxThreshold), DefaultSuccessThreshold, func(l *supervisor.Liveness) *int { return &l.SuccessThreshold }),
		bind(entry[supervisor.Liveness]{name: "severity", field: "Liveness.Severity", examples: []any{"fatal"},
			doc: "What follows when the worker is not well: warning is noted in the log of its node; critical is a crash, so the worker is stopped and " +
				"restarted as its restart_type and the restart policy say; fatal makes its supervisor give up at once, without a restart."},
			enumKind(supervisor.SeverityWarning, supervisor.SeverityCritical, supervisor.SeverityFatal), supervisor.SeverityCritical,
			func(l *supervisor.Liveness) *supervisor.Severity { return &l.Severity }),
	)}

// The sorts of check of which a probe and a liveness check have exactly one.
var (
	probeSorts    = []string{"tcp", "http", "grpc", "exec", "notify"}
	livenessSorts = []string{"tcp", "http", "grpc", "exec", "heartbeat"}
)

// askingKeys say how to ask. With notify and heartbeat nobody is asked.
var askingKeys = []string{"interval", "timeout", "failure_threshold", "success_threshold"}

// sortPlaces are the fields of the sorts that both have.
type sortPlaces[T any] struct {
	tcp, http, grpc func(*T) *string
	exec            func(*T) *[]string
}

// sortEntries are the keys of those, for the type of package supervisor.
func sortEntries[T any](typ string, at sortPlaces[T]) []entry[T] {
	return []entry[T]{
		bind(entry[T]{name: "tcp", field: typ + ".TCP", doc: "host:port that must accept a connection, as seen from the worker's node.", examples: []any{"127.0.0.1:6379"}},
			hostPortKind(), "", at.tcp),
		bind(entry[T]{name: "http", field: typ + ".HTTP", doc: "URL that must answer a GET with a status from 200 to 399, as seen from the worker's node.", examples: []any{"http://127.0.0.1:8080/healthz"}},
			urlKind(), "", at.http),
		bind(entry[T]{name: "grpc", field: typ + ".GRPC", examples: []any{"127.0.0.1:9090", "127.0.0.1:9090/shop.Cart"},
			doc: "host:port, or host:port/service, of a gRPC server without TLS whose health service (grpc.health.v1) must say SERVING, as seen from the worker's node."},
			grpcKind(), "", at.grpc),
		bind(entry[T]{name: "exec", field: typ + ".Exec", doc: "Command that must exit with 0, written as run is. It has the worker's environment, folder and user.", examples: []any{"redis-cli -p 6379 ping"}},
			runKind(), nil, at.exec),
	}
}
