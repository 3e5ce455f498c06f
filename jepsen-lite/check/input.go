package check

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/selfware/selfware/jepsen-lite/history"
)

// Input is a whole run.
type Input struct {
	Run      history.Run
	Ops      []history.Op
	Faults   []history.Fault
	Beats    []history.Beat
	Attempts []history.Attempt
	Seen     []history.Seen
	Samples  []history.Sample
	Probes   []history.Probe
	Log      history.Log
	// Lines are those of the nodes' logs that a healthy node never writes.
	Lines []Line
	// Leaders are the terms that nodes said to lead.
	Leaders []Leader
	// Read is how many lines of the nodes' logs there were.
	Read int
}

// Line is one line of a node's log.
type Line struct{ Node, Text string }

// Leader is a node that led a term.
type Leader struct {
	Node string
	Term uint64
}

// Load reads a run from its folder.
func Load(dir string) (*Input, error) {
	in := &Input{}
	var errs [10]error
	in.Run, errs[0] = history.LoadOne[history.Run](dir, history.FileRun)
	in.Ops, errs[1] = history.Load[history.Op](dir, history.FileOps)
	in.Faults, errs[2] = history.Load[history.Fault](dir, history.FileFaults)
	in.Beats, errs[3] = history.Load[history.Beat](dir, history.FileBeats)
	in.Attempts, errs[4] = history.Load[history.Attempt](dir, history.FileAttempts)
	in.Seen, errs[5] = history.Load[history.Seen](dir, history.FileSeen)
	in.Samples, errs[6] = history.Load[history.Sample](dir, history.FileResources)
	in.Log, errs[7] = history.LoadOne[history.Log](dir, history.FileLog)
	in.Probes, errs[8] = history.Load[history.Probe](dir, history.FileProbes)
	errs[9] = in.readLogs(dir)
	return in, errors.Join(errs[:]...)
}

var (
	alarming = regexp.MustCompile(`(?i)^panic:|panic: runtime|DATA RACE|^fatal error:|assert|diverge|SIGSEGV`)
	leading  = regexp.MustCompile(`msg="election won".*\bterm=(\d+)`)
)

func (in *Input) readLogs(dir string) error {
	for _, node := range in.Run.Nodes {
		f, err := os.Open(filepath.Join(dir, node+".log"))
		if err != nil {
			return fmt.Errorf("cannot read the log of %s: %w", node, err)
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			in.line(node, lines.Text())
		}
		err = errors.Join(lines.Err(), f.Close())
		if err != nil {
			return fmt.Errorf("cannot read the log of %s: %w", node, err)
		}
	}
	return nil
}

func (in *Input) line(node, text string) {
	in.Read++
	if alarming.MatchString(text) {
		in.Lines = append(in.Lines, Line{node, text})
	}
	if m := leading.FindStringSubmatch(text); m != nil {
		term, _ := strconv.ParseUint(m[1], 10, 64) // digits, by the pattern
		in.Leaders = append(in.Leaders, Leader{node, term})
	}
}
