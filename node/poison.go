package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/keeper"
)

// poisonFile, in a data dir, says that its state differed from the majority's.
// Nothing in the dir can be trusted then, the log included.
const poisonFile = "poison"

// poison marks the data dir if the node stops because it is not equal to the
// others, and gives the error with what to do.
func poison(dir string, err error) error {
	var d *fsm.Diverged
	if !errors.As(err, &d) {
		return err
	}
	if werr := writeFile(filepath.Join(dir, poisonFile), []byte(err.Error()+"\n"), 0o600); werr != nil {
		err = errors.Join(err, werr)
	}
	return fmt.Errorf("%w; %s", err, cure(dir))
}

// lastCode is what the process exits with. The children of a poisoned node, which the
// others have moved by now, must end with it; those of another stay for the next agent.
func lastCode(err error) int {
	if errors.As(err, new(*fsm.Diverged)) {
		return keeper.Over
	}
	return 1
}

// poisoned refuses a dir that was marked.
func poisoned(dir string) error {
	why, err := os.ReadFile(filepath.Join(dir, poisonFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot tell whether %s may be used: %w", dir, err)
	}
	return fmt.Errorf("cannot use %s: %s; %s", dir, strings.TrimSpace(string(why)), cure(dir))
}

func cure(dir string) string {
	return fmt.Sprintf("the others go on without this node; to bring its machine back, keep %s for a report of the bug, and join as a new node: "+
		"mv %s %s.poisoned, then `selfware-node join` with the same --name", dir, dir, dir)
}
