package main

import (
	"bufio"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed selfware_otp.erl
var traceRunner []byte

// source is where Debian's erlang-src, and OTP itself, have the supervisor.
const source = "lib/stdlib-*/src/supervisor.erl"

// changes make supervisor_vt of OTP's supervisor: its name, also where it starts
// itself, its clock, and the header that it finds in its own place only. Each must fit
// exactly once.
var changes = [][2]string{
	{"-module(supervisor).", "-module(supervisor_vt)."},
	{"gen_server:start_link(supervisor,", "gen_server:start_link(supervisor_vt,"},
	{"erlang:monotonic_time(1)", "selfware_otp:now_s()"},
	{`-include("logger.hrl").`, `-include_lib("kernel/include/logger.hrl").`},
}

// otp is a running Erlang that answers traces.
type otp struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// build compiles the installed supervisor, with a clock of ours, and the program into
// dir. The error says what is missing.
func build(dir string) error {
	root, err := exec.Command("erl", "-noshell", "-eval", "io:put_chars(code:root_dir()), halt().").Output()
	if err != nil {
		return fmt.Errorf("cannot run erl: %w; on Debian: apt-get install erlang-base erlang-src", err)
	}
	found, err := filepath.Glob(filepath.Join(string(root), source))
	if err != nil || len(found) == 0 {
		return fmt.Errorf("there is no %s under %s; on Debian: apt-get install erlang-src", source, root)
	}
	text, err := os.ReadFile(found[len(found)-1])
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), "any_significant") {
		return fmt.Errorf("%s knows no auto_shutdown: OTP 24 or later is needed", found[len(found)-1])
	}
	changed, err := change(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", found[len(found)-1], err)
	}
	for name, text := range map[string][]byte{"supervisor_vt.erl": []byte(changed), "selfware_otp.erl": traceRunner} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
		compile := exec.Command("erlc", name)
		compile.Dir = dir
		if out, err := compile.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot compile %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

func change(text string) (string, error) {
	for _, c := range changes {
		if n := strings.Count(text, c[0]); n != 1 {
			return "", fmt.Errorf("%q stands in it %d times, not once: this version of OTP is not known", c[0], n)
		}
		text = strings.Replace(text, c[0], c[1], 1)
	}
	return text, nil
}

// run starts an Erlang on what build made. One scheduler, so that what is seen first
// is told first.
func run(dir string) (*otp, error) {
	cmd := exec.Command("erl", "+S", "1", "-noshell", "-noinput", "-pa", dir, "-s", "selfware_otp", "main")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &otp{cmd: cmd, in: in, out: bufio.NewReaderSize(out, 1<<20)}, cmd.Start()
}

// ask gives OTP's answer to each trace.
func (o *otp) ask(traces []*trace) ([][]byte, error) {
	var batch []byte
	for _, t := range traces {
		b := t.encode()
		batch = append(binary.BigEndian.AppendUint16(batch, uint16(len(b))), b...)
	}
	packet := append(binary.BigEndian.AppendUint32(nil, uint32(len(batch))), batch...)
	if _, err := o.in.Write(packet); err != nil {
		return nil, fmt.Errorf("cannot ask OTP: %w", err)
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(o.out, head); err != nil {
		return nil, fmt.Errorf("OTP does not answer: %w", err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head))
	if _, err := io.ReadFull(o.out, body); err != nil {
		return nil, fmt.Errorf("OTP does not answer: %w", err)
	}
	answers := make([][]byte, 0, len(traces))
	for len(body) >= 2 {
		n := 2 + int(binary.BigEndian.Uint16(body))
		if n > len(body) {
			break
		}
		answers, body = append(answers, body[2:n]), body[n:]
	}
	if len(answers) != len(traces) || len(body) != 0 {
		return nil, errors.New("OTP's answer is malformed")
	}
	return answers, nil
}

func (o *otp) close() error {
	o.in.Close()
	return o.cmd.Wait()
}
