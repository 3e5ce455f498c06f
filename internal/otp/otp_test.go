package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMask: in the steps of an escalation each run of stops goes from the last child to
// the first; nothing else is touched, and a failed start ends a run.
func TestMask(t *testing.T) {
	answer := []byte{
		started, 1, started, 2, end,
		stopped, 1, stopped, 2, started, 2, end,
		stopped, 1, failed, 3, stopped, 2, stopped, 4, dead,
	}
	want := bytes.Clone(answer)
	want[17], want[19] = 4, 2
	if got := masked(answer, map[int]bool{0: true, 2: true}); !bytes.Equal(got, want) {
		t.Errorf("masked\n%v, want\n%v", got, want)
	}
	if got := masked(answer, nil); !bytes.Equal(got, answer) {
		t.Errorf("without escalations %v", got)
	}
}

// TestSmaller: every cut gives a trace that is valid, smaller or plainer, and none
// touches the trace itself.
func TestSmaller(t *testing.T) {
	for number := range uint64(200) {
		tr := draw(7, number)
		before := tr.encode()
		for _, s := range tr.smaller() {
			if err := s.spec().Validate(); err != nil {
				t.Fatal(err)
			}
			for _, st := range s.steps {
				if st.worker == 0 {
					t.Fatalf("a step about nobody: %+v", s)
				}
			}
			if len(s.encode()) > len(before) || bytes.Equal(s.encode(), before) {
				t.Fatalf("%v is not smaller than %v", s.encode(), before)
			}
			ours(s)
		}
		if !bytes.Equal(tr.encode(), before) {
			t.Fatal("a cut changed the trace that it was made from")
		}
	}
}

// TestMaskIsTight: where one supervisor shuts down alone, its stops must be OTP's, and
// only what goes beyond it is masked.
func TestMaskIsTight(t *testing.T) {
	worker, once := child{}, child{restart: 1, significant: true}
	sup := super{intensity: 1, period: 1, auto: 1, children: []child{worker, once, worker}}
	week := child{restart: 1, significant: true, sup: &sup}
	for _, c := range []struct {
		root  super
		which int
		loose bool
		stops []byte
	}{
		{sup, 2, false, []byte{3, 1}},
		{super{intensity: 1, period: 1, children: []child{worker, {restart: 1, sup: &sup}, worker}}, 4, false, []byte{5, 3}},
		{super{intensity: 1, period: 1, auto: 1, children: []child{worker, week, worker}}, 4, true, []byte{6, 5, 3, 1}},
		{super{strategy: 1, intensity: 1, period: 1, children: []child{worker, {sup: &sup}, worker}}, 4, true, []byte{6, 5, 3, 1}},
	} {
		out, loose := ours(&trace{root: c.root, steps: []step{{worker: c.which, why: 1}}})
		_, out, _ = bytes.Cut(out, []byte{end})
		var stops []byte
		for i := 0; i+1 < len(out) && out[i] == stopped; i += 2 {
			stops = append(stops, out[i+1])
		}
		if loose[1] != c.loose || !bytes.Equal(stops, c.stops) {
			t.Errorf("%+v: loose %v, stops %v", c.root, loose[1], stops)
		}
	}
}

// TestDraw: what a trace may have does come, so that the comparison means something.
func TestDraw(t *testing.T) {
	seen := make(map[string]int)
	for number := range uint64(6000) {
		tr := draw(1, number)
		tr.walk(func(_ int, path string, c child) {
			seen[string(restartTypes[c.restart])]++
			if c.sup != nil {
				seen[string(shutdowns[c.sup.auto])]++
				seen["supervisor "+string(strategies[c.sup.strategy])]++
			}
			if strings.Count(path, "/") == maxDepth {
				seen["deepest"]++
			}
		})
		m, loose := play(tr)
		out := m.out
		for what, n := range m.shutdowns {
			seen[what] += n
		}
		for i := range tr.steps {
			seen[reasons[tr.steps[i].why]]++
			if loose[i+1] {
				seen["loose"]++
			}
		}
		for _, b := range []byte{stopped, failed, dead, absent} {
			if bytes.IndexByte(out, b) >= 0 {
				seen[string('0'+b)]++
			}
		}
	}
	for _, what := range []string{
		"permanent", "transient", "temporary", "supervisor one_for_one", "supervisor one_for_all", "supervisor rest_for_one",
		"deepest", "crash", "normal", "shutdown", "loose", "2", "3", "4", "5",
		"significant worker", "shut down, and was significant", "gave up, and was significant", "root", "restart", "finish", "escalate", "any", "all",
	} {
		if seen[what] < 100 {
			t.Errorf("%q came %d times", what, seen[what])
		}
	}
}

// TestChange: a supervisor that is not the one we know is refused, not compiled.
func TestChange(t *testing.T) {
	text := ""
	for _, c := range changes {
		text += c[0] + "\n"
	}
	if got, err := change(text); err != nil || strings.Contains(got, changes[0][0]) {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"", text + text, strings.Replace(text, changes[2][0], "os:timestamp()", 1)} {
		if _, err := change(bad); err == nil {
			t.Errorf("%q is taken for OTP's supervisor", bad)
		}
	}
}

// TestOTP compares a few traces, and finds a difference where there is one: in the
// answer to another trace. make otp compares a million.
func TestOTP(t *testing.T) {
	if _, err := exec.LookPath("erl"); err != nil {
		t.Skip("ATTENTION: no Erlang here, nothing is compared (scripts/test-deps.sh installs it)")
	}
	found, err := compare(5000, 1)
	if err != nil || len(found) > 0 {
		t.Fatalf("%v, %v", err, found)
	}
	dir := t.TempDir()
	if err := build(dir); err != nil {
		t.Fatal(err)
	}
	o, err := run(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	tr := &trace{root: super{intensity: 1, period: 1, children: []child{{}}}, steps: []step{{0, 1, 0, 0}, {1, 1, 0, 0}}}
	later := tr.clone()
	later.steps[1].after = 2
	answers, err := o.ask([]*trace{tr, later})
	if err != nil || differs(tr, answers[0]) || differs(later, answers[1]) || !differs(tr, answers[1]) {
		t.Errorf("the boundary of the window: %v, %v", answers, err)
	}
	d := difference{seed: 1, trace: tr, theirs: answers[1]}
	for _, want := range []string{"theirs: start c1 | start c1 | start c1 | ", "the root ends", "t one_for_one max=1 in=1s", "crash t/c1"} {
		if !strings.Contains(d.String(), want) {
			t.Errorf("%q is not in\n%s", want, d)
		}
	}
}

// TestDocs: what is masked is listed.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/otp.md")
	if err != nil || !strings.Contains(string(text), "Order of stops when a supervisor gives up") {
		t.Errorf("docs/otp.md: %v", err)
	}
}
