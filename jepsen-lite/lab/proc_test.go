package lab

import (
	"os/exec"
	"testing"
)

// TestAgentOf: a keeper that is between two agents has none, and what it is just
// forking is not one. strace, told to break the disk of an agent, was sent to the
// keeper instead, stopped it for seconds, and its exclusive children outlived their
// moment. Found by a matrix.
func TestAgentOf(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		agent        bool
	}{
		{"without children", "echo; read x; :", false},
		{"forking", "(echo; sleep 60; :) & read x; :", false},
		{"with another program below it", "sleep 60 & echo; read x; :", false},
		{"with an agent", "sh -c 'echo; sleep 60; :' & read x; :", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command("sh", "-c", tt.script)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err == nil {
				_, err = out.Read(make([]byte, 1)) // all that it starts has begun
			}
			if err != nil {
				t.Fatal(err)
			}
			keeper, err := readStat(cmd.Process.Pid)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				left, _ := below(keeper.PID)
				in.Close()
				_ = cmd.Wait()
				for _, s := range left {
					_ = Signal(s.Proc, 9)
				}
			}()
			agent, err := agentOf(keeper.Proc)
			if err == nil != tt.agent || tt.agent && agent == keeper.Proc {
				t.Errorf("agent %+v, %v", agent, err)
			}
			children, err := childrenOf(keeper.Proc)
			for _, c := range children {
				if c == agent {
					t.Error("the agent is among the children")
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}
