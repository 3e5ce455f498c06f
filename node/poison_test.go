package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/keeper"
)

// TestPoison: a node that differed from the majority does not start again, and
// says what to do; any other failure leaves its dir as it was.
func TestPoison(t *testing.T) {
	dir := t.TempDir()
	s, err := Init(dir, Options{Name: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := poison(dir, errors.New("disk full")); err == nil || err.Error() != "disk full" {
		t.Errorf("another failure: %v", err)
	}
	if got, err := Load(dir); err != nil || got.ID != s.ID {
		t.Fatalf("after another failure: %v", err)
	}
	err = poison(dir, &fsm.Diverged{Index: 7, Ours: "aaa", Theirs: "bbb"})
	if lastCode(err) != keeper.Over || lastCode(errors.New("disk full")) != 1 {
		t.Errorf("the process would exit with %d and the keeper keep its children", lastCode(err))
	}
	for _, want := range []string{"entry 7", "aaa", "bbb", "selfware-node join", "mv " + dir} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the node's last words lack %q: %v", want, err)
		}
		if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the refusal lacks %q: %v", want, err)
		}
	}
	for name, f := range map[string]func() error{
		"open": func() error { _, err := Open(dir, Config{}); return err },
		"init": func() error { _, err := Init(dir, Options{}); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), "aaa") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, poisonFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err != nil {
		t.Errorf("without the mark: %v", err)
	}
}
