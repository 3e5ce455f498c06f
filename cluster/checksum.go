package cluster

import (
	"cmp"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
)

// How often replicas compare themselves (P9): after so many entries, or after so
// long if there was any. The hash of a state of 10,000 children takes some 60 ms.
const (
	checksumEvery = 2048
	checksumAfter = 60 * time.Second
)

// checksum is the next checksum entry, if one is due: every replica then remembers
// the hash of its state. It carries what a majority of the voters remembered at the
// one before, so that a replica that remembers something else finds out and stops.
// A leader that is itself the odd one out never gets that far: it stops here, and
// the majority goes on with another.
func (l *leader) checksum() (cmd fsm.Command, due bool) {
	m := l.n.rep.m
	own, _ := m.Sum()
	var index uint64
	m.View(func(v fsm.View) { index = v.Index() })
	changed := index - min(own.Index, index)
	due = changed >= cmp.Or(l.n.cfg.ChecksumEvery, checksumEvery) ||
		changed > 0 && time.Since(l.summed) >= checksumAfter
	if !due && (own.Index == 0 || m.Agreed() >= own.Index && !l.oddReport(own)) {
		return cmd, false
	}
	cmd.Type = fsm.TypeChecksum
	if own.Index > 0 {
		v := poll(own, l.reports(own))
		if v.alone != nil {
			l.n.cfg.Fatal(v.alone)
			return cmd, false
		}
		if v.agreed {
			cmd.Sum = &own
		}
		due = due || v.agreed && v.odd
		l.warnSplit(v, own)
	}
	if due {
		l.summed = time.Now()
	}
	return cmd, due
}

// oddReport: some node remembers another hash at the same entry.
func (l *leader) oddReport(own link.Sum) bool {
	for _, c := range l.contacts { // order-free: any will do
		if fsm.Differ(own, c.sum) != nil {
			return true
		}
	}
	return false
}

// warnSplit says once per checksum that replicas differ and none has a majority.
func (l *leader) warnSplit(v ballot, own link.Sum) {
	if v.odd && !v.agreed && l.split != own.Index {
		l.split = own.Index
		l.n.log.Error("replicas differ, and no state is held by a majority of the voters: nobody can tell yet which one is right",
			"entry", own.Index, "ours", own.Hash)
	}
}

// report is one server's word on the checksum entry in question.
type report struct {
	sum   link.Sum
	voter bool
	self  bool
}

// reports gathers one report per server; those that have said nothing have a zero
// sum, which says nothing.
func (l *leader) reports(own link.Sum) []report {
	voters := make(map[string]bool)
	for _, s := range l.n.voters() {
		voters[string(s.ID)] = true
	}
	self := l.n.cfg.Self.ID
	rs := []report{{own, voters[self], true}}
	delete(voters, self)
	for id, c := range l.contacts { // order-free: poll counts
		if id != self {
			rs = append(rs, report{sum: c.sum, voter: voters[id]})
			delete(voters, id)
		}
	}
	for range voters { // those out of contact
		rs = append(rs, report{voter: true})
	}
	return rs
}

// ballot is what the reports say.
type ballot struct {
	agreed bool  // a majority of the voters holds our hash
	odd    bool  // somebody holds another
	alone  error // a majority holds one other than ours
}

// poll counts the reports on own. Only a majority of all voters, not of those that
// have spoken, decides: less could be the wrong half.
func poll(own link.Sum, reports []report) (b ballot) {
	voters, votes := 0, make(map[string]int)
	for _, r := range reports {
		voters += count(r.voter)
		if r.sum.Index != own.Index || r.sum.Form != own.Form {
			continue
		}
		b.odd = b.odd || r.sum.Hash != own.Hash
		if r.voter {
			votes[r.sum.Hash]++
		}
	}
	for hash, n := range votes { // order-free: one at most has a majority
		if 2*n <= voters {
			continue
		}
		b.agreed = hash == own.Hash
		theirs := own
		theirs.Hash = hash
		b.alone = fsm.Differ(own, theirs)
	}
	return b
}
