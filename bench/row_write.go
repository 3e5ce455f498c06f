package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/selfware/selfware/gossip"
)

// rowWrite is (e): how long nothing can be written after the leader is killed.
func (l *lab) rowWrite(ctx context.Context) error {
	limits := map[gossip.Profile]float64{gossip.LAN: 1500, gossip.Fast: 600}
	for _, profile := range profiles {
		if err := l.use(ctx, profile); err != nil {
			return err
		}
		if err := l.begin(ctx, "write", 1, ""); err != nil {
			return err
		}
		var mine, bare []float64
		for range lossReps[profile] {
			var wg sync.WaitGroup
			var took, floor time.Duration
			var err1, err2 error
			wg.Go(func() { floor, err1 = l.loseBare(ctx, loss{profile: profile, fault: killed, leader: true}) })
			wg.Go(func() { took, err2 = l.writeAfterLoss(ctx) })
			wg.Wait()
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
			mine, bare = append(mine, ms(took)), append(bare, ms(floor))
		}
		l.report(Result{
			Row: "e", What: fmt.Sprintf("kill -9 of the leader → next write, profile %s", profile), Unit: "ms",
			Floor: "bare raft: kill -9 of the leader → next commit",
			Bare:  summarize(bare), Ours: summarize(mine), goal: goal{stat: byP99, most: limits[profile]},
		})
		if err := l.mine.forget(ctx, "write"); err != nil {
			return err
		}
	}
	return nil
}

// writeAfterLoss kills the leader and at once asks a follower for a write, which
// holds the request until it can be done.
func (l *lab) writeAfterLoss(ctx context.Context) (time.Duration, error) {
	s, err := l.mine.whole(ctx)
	if err != nil {
		return 0, err
	}
	leader, follower := l.mine.roles(s)
	t0 := now()
	if err := leader.proc.cmd.Process.Kill(); err != nil {
		return 0, err
	}
	late, cancel := context.WithTimeout(ctx, ready)
	defer cancel()
	for {
		if _, err = follower.client.Verb(late, "restart", "write", ""); err == nil {
			break
		}
		if late.Err() != nil {
			return 0, fmt.Errorf("cannot write after the leader's loss: %w", err)
		}
	}
	took := now() - t0
	<-leader.proc.done
	return took, l.mine.start(leader)
}
