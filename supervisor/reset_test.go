package supervisor

import "strings"

// wasReset tells whether the last input had the restarts charged at path forgotten.
func (r *rig) wasReset(path string) bool {
	r.Helper()
	in, reset := r.last.(Reset)
	if !reset || r.tree.byPath[in.Path] == nil {
		return false
	}
	n, of := r.tree.byPath[path], r.tree.byPath[in.Path]
	shared := of.parent != nil && of.parent.policy.shared() && path == of.parent.path
	return underPath(path, in.Path) && n.parent != nil || shared
}

// forgotten: after a reset that was taken no budget at or below its path has a charge,
// and no crashes are in a row; every decision is a reset, and says who asked and why.
func (r *rig) forgotten(in Reset, ds []Decision, held map[string]int) {
	r.Helper()
	for path, n := range r.tree.byPath {
		if n.parent == nil {
			continue
		}
		b := n.budget()
		if underPath(path, in.Path) && (b.Used > 0 || n.life.Crashes > 0) {
			r.Fatalf("%s has %v and %d crashes in a row after its reset", path, b, n.life.Crashes)
		}
		if b.Held != held[path] {
			r.Fatalf("%s held %d back before its reset, and holds %d (P3)", path, held[path], b.Held)
		}
	}
	for _, d := range ds {
		if d.Verdict != VerdictReset || !strings.Contains(d.Sentence, in.By) || !strings.Contains(d.Sentence, in.Why) {
			r.Fatalf("a reset decided %+v", d)
		}
	}
	if len(ds) == 0 || len(ds) > 1 && !underPath(ds[1].Path, in.Path) {
		r.Fatalf("a reset of %s decided %+v", in.Path, ds)
	}
}

// heldBack is what each budget holds back.
func heldBack(t *Tree) map[string]int {
	held := make(map[string]int)
	for path, n := range t.byPath {
		held[path] = n.budget().Held
	}
	return held
}
