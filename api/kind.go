package api

import (
	"net/http"
)

// kind says where a request is answered, and whether it may be sent again.
type kind int

const (
	// local requests are answered by the node that is asked.
	local kind = iota
	// read requests go to the leader, or with stale=true nowhere.
	read
	// write requests go to the leader and carry a request id: the second of two
	// gets the answer of the first.
	write
	// once requests go to the leader and are not sent again once they were.
	once
	// restore is once with a large body.
	restore
	// follow requests are reads without end.
	follow
	// logs go to the node that holds the log.
	logs
)

// long requests last as long as their client wants.
func (k kind) long() bool { return k == follow || k == logs }

// again tells whether a request may be sent again though it may have been done.
func (k kind) again() bool { return k != once && k != restore }

func (k kind) maxBody() int64 {
	if k == restore {
		return MaxSnapshot
	}
	return maxBody
}

// kind finds the kind of a request by its route. What has no route is local.
func (s *Server) kind(r *http.Request) kind {
	_, pattern := s.mux.Handler(r)
	return s.kinds[pattern]
}
