package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// A component that fails is started again, within its budget. The log says what was
// seen and what was decided.
func Example() {
	attempt := 0
	worker := supervisor.ComponentFunc(func(ctx context.Context) error {
		if attempt++; attempt < 3 {
			return fmt.Errorf("attempt %d failed", attempt)
		}
		<-ctx.Done()
		return nil
	})
	log := make(chan supervisor.Entry, 100)
	sup, err := supervisor.New("shop").
		WithStrategy(supervisor.OneForOne).
		WithRestartPolicy(supervisor.RestartPolicy{MaxRestarts: 5, MaxSeconds: time.Minute}).
		WithLog(log).
		AddChild("worker", worker).
		Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	h, err := sup.Start(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	for e := range log {
		if d := e.Decision; d == nil {
			fmt.Println(e)
		} else if d.Verdict == supervisor.VerdictRestart {
			fmt.Println("  ", d.Sentence)
		} else if d.Verdict == supervisor.VerdictUp && d.After.Used == 2 {
			break
		}
	}
	fmt.Println(h.Stop(context.Background()))
	// Output:
	// shop/worker started
	// shop/worker exited error: attempt 1 failed
	//    shop/worker failed on local (attempt 1 failed): restart it; budget 1 of 5 in 1m0s used
	// shop/worker started
	// shop/worker exited error: attempt 2 failed
	//    shop/worker failed on local (attempt 2 failed): restart it; budget 2 of 5 in 1m0s used
	// shop/worker started
	// <nil>
}

// A budget that is spent escalates; the outermost supervisor then gives up, and its
// error says why. A panic is a crash like any other.
func ExampleSupervisor_Run() {
	sup, err := supervisor.New("shop").
		WithRestartPolicy(supervisor.RestartPolicy{MaxRestarts: 1, MaxSeconds: time.Minute}).
		AddChild("web", supervisor.ComponentFunc(func(context.Context) error { panic("no such host") })).
		Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	err = sup.Run(context.Background())
	fmt.Println(errors.Is(err, supervisor.ErrExhausted))
	fmt.Println(err)
	// Output:
	// true
	// supervisor gave up: shop has failed: shop/web spent its budget: panic: no such host; all its children stop
}

// Supervisors nest: what "db" cannot repair it hands to "shop". With one_for_all and
// rest_for_one children start in order, each when the one before is up, and stop in
// reverse.
func ExampleBuilder_AddChild() {
	component := func(id string) supervisor.Child {
		return supervisor.Child{ID: id, Ready: true, Component: supervisor.ComponentFunc(func(ctx context.Context) error {
			fmt.Println(id, "is up")
			supervisor.Ready(ctx)
			<-ctx.Done()
			fmt.Println(id, "stops")
			return nil
		})}
	}
	db, err := supervisor.New("db").WithStrategy(supervisor.OneForAll).
		Add(component("store")).
		Add(component("cache")).
		Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	up := make(chan struct{})
	shop, err := supervisor.New("shop").WithStrategy(supervisor.RestForOne).
		AddChild("db", db).
		Add(component("web")).
		AddChild("last", supervisor.ComponentFunc(func(ctx context.Context) error {
			close(up)
			<-ctx.Done()
			return nil
		})).
		Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h, err := shop.Start(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	<-up
	cancel()
	fmt.Println(h.Wait())
	// Output:
	// store is up
	// cache is up
	// web is up
	// web stops
	// cache stops
	// store stops
	// <nil>
}

// Others may know better than a component how it is doing. It is told to stop, and has
// then ended as they said.
func ExampleHandle_Send() {
	sup, err := supervisor.New("shop").
		WithRestartPolicy(supervisor.RestartPolicy{MaxRestarts: 0, MaxSeconds: time.Minute}).
		AddChild("web", supervisor.ComponentFunc(func(ctx context.Context) error {
			<-ctx.Done()
			fmt.Println("web was stopped:", context.Cause(ctx))
			return nil
		})).
		Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	h, err := sup.Start(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := h.Send(supervisor.Crashed("web", errors.New("it answers nobody"))); err != nil {
		fmt.Println(err)
	}
	fmt.Println(h.Wait())
	// Output:
	// web was stopped: it answers nobody
	// supervisor gave up: shop has failed: shop/web spent its budget: it answers nobody; all its children stop
}

// A child may have to show that it is alive. One that is silent is told to stop, and
// has then exited for supervisor.ExitTimeout.
func ExampleBeat() {
	sup, err := supervisor.New("shop").
		WithRestartPolicy(supervisor.RestartPolicy{MaxRestarts: 0, MaxSeconds: time.Minute}).
		Add(supervisor.Child{ID: "poller", Heartbeat: 20 * time.Millisecond, Component: supervisor.ComponentFunc(
			func(ctx context.Context) error {
				supervisor.Beat(ctx) // once, and never again
				<-ctx.Done()
				fmt.Println(context.Cause(ctx) != nil)
				return nil
			})}).
		Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(errors.Is(sup.Run(context.Background()), supervisor.ErrExhausted))
	// Output:
	// true
	// true
}

// A component may say what should follow from its end: Finish, DoNotRestart and Escalate
// are worth more than its restart type.
func ExampleDoNotRestart() {
	log := make(chan supervisor.Entry, 100)
	sup, err := supervisor.New("shop").
		WithStrategy(supervisor.RestForOne).
		WithLog(log).
		AddChild("import", supervisor.ComponentFunc(func(context.Context) error {
			return supervisor.Finish(nil)
		})).
		AddChild("mail", supervisor.ComponentFunc(func(context.Context) error {
			return supervisor.DoNotRestart(errors.New("no password"))
		})).
		Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	h, err := sup.Start(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	for over := 0; over < 2; {
		e := <-log
		if d := e.Decision; d != nil && (d.Verdict == supervisor.VerdictFinish || d.Verdict == supervisor.VerdictFail) {
			fmt.Println(d.Sentence)
			over++
		}
	}
	fmt.Println(h.Stop(context.Background()))
	// Output:
	// shop/import ended as it should (finish; it says finish): it is finished
	// shop/mail failed for good (no password; it says fail): it is not restarted
	// <nil>
}

// A supervisor may end when its work is done: with the last of its significant children.
// One that fails is restarted first.
func ExampleBuilder_WithAutoShutdown() {
	tries := 0
	sup, err := supervisor.New("import").
		WithAutoShutdown(supervisor.AutoAll).
		WithRestartPolicy(supervisor.RestartPolicy{MaxRestarts: 3, MaxSeconds: time.Minute}).
		AddChild("queue", supervisor.ComponentFunc(func(ctx context.Context) error {
			<-ctx.Done()
			fmt.Println("queue stops")
			return nil
		})).
		Add(supervisor.Child{ID: "orders", RestartType: supervisor.Transient, Significant: true, Component: supervisor.ComponentFunc(
			func(context.Context) error {
				if tries++; tries == 1 {
					return errors.New("no connection")
				}
				fmt.Println("orders are done")
				return nil
			})}).
		Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sup.Run(context.Background()))
	// Output:
	// orders are done
	// queue stops
	// <nil>
}
