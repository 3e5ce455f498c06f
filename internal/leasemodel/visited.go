package leasemodel

// visited is a set of states by their keys, with the key of the state that each
// was first reached from. It is a table with open addressing: a third of the time
// and memory of a map.
type visited struct {
	slots []way
	used  int
}

// way leads to a state. A key is never 0.
type way struct{ key, from uint64 }

func newVisited() *visited { return &visited{slots: make([]way, 1<<16)} }

// slot is where a key is, or belongs.
func (v *visited) slot(key uint64) *way {
	mask := uint64(len(v.slots) - 1)
	for i := key & mask; ; i = (i + 1) & mask {
		if w := &v.slots[i]; w.key == key || w.key == 0 {
			return w
		}
	}
}

// add tells whether the key is new.
func (v *visited) add(key, from uint64) bool {
	w := v.slot(key)
	if w.key != 0 {
		return false
	}
	*w = way{key, from}
	if v.used++; 3*v.used > 2*len(v.slots) {
		old := v.slots
		v.slots = make([]way, 2*len(old))
		for _, w := range old {
			if w.key != 0 {
				*v.slot(w.key) = w
			}
		}
	}
	return true
}

// from gives the key of the state before.
func (v *visited) from(key uint64) uint64 { return v.slot(key).from }
