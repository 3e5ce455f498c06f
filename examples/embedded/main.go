package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/selfware/selfware/api/client"
	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/node"
)

// tree has one child, of which at most one life may run at any time.
const tree = `
name: post
children:
  - {id: mail, func: mailer, exclusive: true, probe: {notify: true}, env: {QUEUE: letters}}
`

func main() {
	port := flag.Int("port", 7600, "first of the nine ports of 127.0.0.1 that the nodes take")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, [3]int{*port, *port + 3, *port + 6}); err != nil {
		log.Fatal(err)
	}
}

// run starts three nodes, closes the one that the function runs on, and waits for it to
// run on another.
func run(ctx context.Context, out io.Writer, ports [3]int) error {
	dir, err := os.MkdirTemp("", "selfware-embedded-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	lives := make(chan cluster.Life)
	nodes := make(map[string]*node.Node)
	defer func() {
		for _, n := range nodes {
			n.Close()
		}
	}()
	var door, token string // of the first node, for the others
	for i, port := range ports {
		name := fmt.Sprint("n", i+1)
		n, err := node.Start(ctx, node.Embed{
			Dir:     filepath.Join(dir, name),
			Options: node.Options{Name: name, Port: port, Profile: "fast"},
			Join:    door, Token: token,
			Functions: map[string]cluster.Func{"mailer": mailer(lives)},
		})
		if err != nil {
			return err
		}
		nodes[name] = n
		if i == 0 {
			door = n.Self().Address
			if token, err = node.Token(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	api, err := client.New(client.Config{API: nodes["n1"].Self().API})
	if err != nil {
		return err
	}
	if err := settle(ctx, api); err != nil {
		return err
	}
	fmt.Fprintln(out, "three nodes run in this process")
	if _, err := api.Apply(ctx, "post", tree, ""); err != nil {
		return err
	}
	first, err := next(ctx, lives)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s runs on %s (%s, token %s)\n", first.Path, first.Node, first.Reason, first.Fence)
	fmt.Fprintf(out, "closing %s\n", first.Node)
	if err := nodes[first.Node].Close(); err != nil {
		return err
	}
	delete(nodes, first.Node)
	second, err := next(ctx, lives)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s runs on %s (token %s)\n", second.Path, second.Node, second.Fence)
	return nil
}

// mailer is the function: it says which life has begun, and works until it is told to end.
func mailer(lives chan<- cluster.Life) cluster.Func {
	return func(ctx context.Context, life cluster.Life) error {
		life.Ready()
		select {
		case lives <- life:
		case <-ctx.Done():
			return ctx.Err()
		}
		// Here a mailer takes letters from life.Env["QUEUE"] and sends them, and gives
		// life.Fence to whatever it writes to.
		<-ctx.Done()
		return ctx.Err()
	}
}

// next waits for the next life that begins.
func next(ctx context.Context, lives <-chan cluster.Life) (cluster.Life, error) {
	select {
	case life := <-lives:
		return life, nil
	case <-ctx.Done():
		return cluster.Life{}, ctx.Err()
	}
}

// settle waits until all three nodes vote, so that any one of them can go.
func settle(ctx context.Context, api *client.Client) error {
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		voters := 0
		peers, _ := api.Peers(ctx) // an error while there is no leader yet
		for _, p := range peers {
			if p.Voter {
				voters++
			}
		}
		if voters == 3 {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
