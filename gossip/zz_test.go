package gossip

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestZZ(t *testing.T) {
	for _, k := range []int{3, 5, 10} {
		rounds, gave := 0, 0
		worst := time.Duration(0)
		for seed := range uint64(20) {
			bubble(t, seed, LAN, func(w *world) {
				w.grow(k)
				for range 10 {
					time.Sleep(15*time.Second + rand.N(2*time.Second))
					w.net.Pause("10.0.0.2")
					start := time.Now()
					time.AfterFunc(2*time.Second, func() { w.net.Resume("10.0.0.2") })
					rounds++
					down := map[string]time.Time{}
					for time.Since(start) < 14*time.Second {
						time.Sleep(10 * time.Millisecond)
						for _, a := range w.ids() {
							for _, id := range w.ids() {
								key := a + ">" + id
								s := w.state(a, id)
								if s != Alive {
									if down[key].IsZero() {
										down[key] = time.Now()
									}
								} else if !down[key].IsZero() {
									worst = max(worst, time.Since(down[key]))
									t.Logf("k=%d %s down at %v for %v", k, key, down[key].Sub(start), time.Since(down[key]))
									gave++
									delete(down, key)
								}
							}
						}
					}
				}
			})
		}
		t.Logf("k=%d rounds %d gave %d worst %v", k, rounds, gave, worst)
	}
}
