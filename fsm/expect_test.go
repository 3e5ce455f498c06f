package fsm

import (
	"testing"
)

// TestCompareAndSet: of two who change a tree after the same look at it, the second
// is refused and changes nothing; on a restored machine as on this one.
func TestCompareAndSet(t *testing.T) {
	first, second, third := tree("shop", "a"), tree("shop", "a", "b"), tree("shop", "c")
	on := func(c Command, tag string) Command { c.If = tag; return c }
	h := newHarness(t)
	h.refused(ErrChanged, on(applyTree(first), Tag(first)))
	h.must(on(applyTree(first), TagNone))
	h.refused(ErrChanged, on(applyTree(first), TagNone))
	for _, h := range []*harness{h.restored(), h} {
		h.must(on(applyTree(second), Tag(first)))
		h.refused(ErrChanged, on(applyTree(third), Tag(first)))
		h.refused(ErrChanged, on(deleteTree("shop"), Tag(first)))
		h.refused(ErrChanged, on(deleteTree("shop"), TagNone))
		h.must(on(applyTree(second), Tag(second)))
		h.must(on(deleteTree("shop"), Tag(second)))
		h.refused(ErrUnknownTree, on(deleteTree("shop"), TagNone))
		h.must(on(applyTree(third), TagNone))
	}
	if Tag(first) == Tag(second) || Tag(first) != Tag(tree("shop", "a")) {
		t.Error("a tag does not tell specs apart")
	}
}
