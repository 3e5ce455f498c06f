package health

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestJSON: the form is that of serde for the seed's enum, both ways.
func TestJSON(t *testing.T) {
	for text, status := range map[string]HealthStatus{
		`"Healthy"`:                      Healthy(),
		`{"Degraded":{"reason":"slow"}}`: Degraded("slow"),
		`{"Degraded":{"reason":""}}`:     Degraded(""),
		`{"Unhealthy":{"reason":"a \"quote\"","severity":"Warning"}}`: Unhealthy(`a "quote"`, Warning),
		`{"Unhealthy":{"reason":"gone","severity":"Critical"}}`:       Unhealthy("gone", Critical),
		`{"Unhealthy":{"reason":"lost","severity":"Fatal"}}`:          Unhealthy("lost", Fatal),
	} {
		got, err := json.Marshal(status)
		if err != nil || string(got) != text {
			t.Errorf("%v is written as %s, %v; want %s", status, got, err, text)
		}
		var back HealthStatus
		if err := json.Unmarshal([]byte(text), &back); err != nil || back != status {
			t.Errorf("%s is read as %+v, %v", text, back, err)
		}
	}
}

func TestJSONRefuses(t *testing.T) {
	for _, text := range []string{
		`null`, `1`, `[]`, `{}`, `""`, `"healthy"`, `"Degraded"`, `{"Healthy":{}}`, `{"Degraded":{}}`, `{"Degraded":null}`,
		`{"Degraded":{"reason":null}}`, `{"Degraded":{"reason":"a","severity":"Fatal"}}`, `{"Unhealthy":{"reason":"a"}}`,
		`{"Unhealthy":{"severity":"Fatal"}}`, `{"Unhealthy":{"reason":"a","severity":"Mild"}}`, `{"Unhealthy":{"reason":"a","severity":""}}`,
		`{"Degraded":{"reason":"a"},"Unhealthy":{"reason":"a","severity":"Fatal"}}`, `{"Other":{}}`,
	} {
		s := Degraded("before")
		if err := json.Unmarshal([]byte(text), &s); err == nil {
			t.Errorf("%s is read as %v", text, s)
		}
	}
	for _, s := range []HealthStatus{{Kind: 7}, {Kind: KindUnhealthy}, {Kind: KindUnhealthy, Severity: "Mild"}} {
		if text, err := json.Marshal(s); err == nil {
			t.Errorf("%v is written as %s", s, text)
		}
	}
}

func TestWords(t *testing.T) {
	for want, s := range map[string]HealthStatus{
		"Healthy": Healthy(), "Degraded: slow": Degraded("slow"), "Unhealthy (Fatal): lost": Unhealthy("lost", Fatal),
	} {
		if s.String() != want || s.IsHealthy() != (want == "Healthy") {
			t.Errorf("got %s, want %s", s, want)
		}
	}
	if s, err := ParseSeverity("critical"); s != Critical || err != nil {
		t.Errorf("got %q, %v", s, err)
	}
	if got := clip("a\xff\n b" + strings.Repeat("c", 1000)); !strings.HasPrefix(got, "a bccc") || len(got) > maxWords+3 {
		t.Errorf("got %q", got)
	}
}
