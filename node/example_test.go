package node_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/node"
	"github.com/selfware/selfware/spec"
)

// A program holds a node and gives it a function, which the cluster then runs as a child.
// Trees are applied with selfware-node apply or package api/client, on any node; here the
// program does it itself.
func ExampleStart() {
	dir, err := os.MkdirTemp("", "node")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	// Of this machine and of nobody else: the node takes three ports of it, 7400 to 7402.
	address := fmt.Sprintf("127.67.%d.1", os.Getpid()%256)
	n, err := node.Start(ctx, node.Embed{Dir: dir, Options: node.Options{Name: "n1", Bind: address, Profile: "fast"}})
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan bool)
	err = n.Register("mailer", func(ctx context.Context, life cluster.Life) error {
		fmt.Printf("%s runs on %s and has letters from %s\n", life.Path, life.Node, life.Env["QUEUE"])
		life.Ready()
		close(done)
		<-ctx.Done()
		return ctx.Err()
	})
	if err != nil {
		log.Fatal(err)
	}
	tree, err := spec.Parse("post.yaml", []byte(`
name: post
children:
  - {id: mail, func: mailer, probe: {notify: true}, env: {QUEUE: q7}}
`))
	if err != nil {
		log.Fatal(err)
	}
	for err = fmt.Errorf("no leader yet"); err != nil; {
		_, err = n.Cluster().Submit(ctx, fsm.Command{Type: fsm.TypeApplyTree, Tree: &tree, By: "example"})
	}
	<-done
	fmt.Println("closed:", n.Close())
	// Output:
	// post/mail runs on n1 and has letters from q7
	// closed: <nil>
}
