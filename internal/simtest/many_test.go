package simtest

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/selfware/selfware/supervisor"
)

// replicate gives some workers of a drawn tree instances. It draws from a stream of its
// own, so that what else a seed decides stays as it was. Such a worker has an id of its
// own: in the next tree of that name it may be alone again, and one cannot become many.
func (p *Plan) replicate(spec *supervisor.Spec) {
	h := fnv.New64a()
	h.Write([]byte(strings.Join(workers(*spec), " ")))
	r := chance{rand.New(rand.NewPCG(p.Seed, h.Sum64()))}
	crowds := make(map[string]bool) // that others could hardly be apart from
	each(*spec, func(path string, c *supervisor.ChildSpec) {
		if c.Program == nil || !r.odds(12) {
			return
		}
		crowds[path] = true
		c.ID = "r" + strings.TrimPrefix(c.ID, "w")
		c.Replicas, c.Placement.ApartFrom = 1+r.IntN(3), nil
		if c.Replicas < p.Nodes && r.odds(30) {
			c.Placement.Instances = supervisor.ApartStrictly
		}
	})
	each(*spec, func(_ string, c *supervisor.ChildSpec) {
		c.Placement.ApartFrom = slices.DeleteFunc(c.Placement.ApartFrom, func(path string) bool { return crowds[path] })
	})
}
