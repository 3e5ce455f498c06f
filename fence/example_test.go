package fence_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/selfware/selfware/fence"
)

// A server checks the token that comes with each request.
func ExampleGuard() {
	g := fence.New(new(fence.Memory))
	for _, text := range []string{
		"00000001-0000000000050000", // the first life
		"00000001-0000000000090000", // its successor
		"00000001-0000000000050000", // the first one, thawed
	} {
		token, err := fence.Parse(text)
		if err != nil {
			log.Fatal(err)
		}
		switch err := g.Check(context.Background(), token); {
		case errors.Is(err, fence.ErrStale):
			fmt.Println("refused")
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Println("done")
		}
	}
	// Output:
	// done
	// done
	// refused
}

// A program that writes a file of its own machine checks and writes in one step.
func ExampleFile_Do() {
	dir, err := os.MkdirTemp("", "fence")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	os.Setenv(fence.Env, "00000001-0000000000050000") // selfware does this

	token, err := fence.FromEnv()
	if err != nil {
		log.Fatal(err)
	}
	data := filepath.Join(dir, "counter")
	err = fence.NewFile(data+".fence").Do(context.Background(), token, func() error {
		return os.WriteFile(data, []byte("1\n"), 0o644)
	})
	if errors.Is(err, fence.ErrStale) {
		log.Fatal("a newer life of this program runs; this one must end")
	}
	fmt.Println(err)
	// Output: <nil>
}
