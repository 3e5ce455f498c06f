package health

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Kind is which of the three a HealthStatus is.
type Kind int

// The zero Kind is healthy, as a nil error is no error.
const (
	KindHealthy Kind = iota
	KindDegraded
	KindUnhealthy
)

var kindNames = [...]string{"Healthy", "Degraded", "Unhealthy"}

// String is the seed's word.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return kindNames[k]
}

// Severity is how much it matters that something is Unhealthy.
type Severity string

const (
	// Warning is recorded, and nothing else follows.
	Warning Severity = "Warning"
	// Critical counts as a crash.
	Critical Severity = "Critical"
	// Fatal cannot be helped by a restart: it is escalated at once.
	Fatal Severity = "Fatal"
)

// ParseSeverity reads the name of a severity, in any case.
func ParseSeverity(name string) (Severity, error) {
	for _, s := range []Severity{Warning, Critical, Fatal} {
		if strings.EqualFold(name, string(s)) {
			return s, nil
		}
	}
	return "", fmt.Errorf("cannot use severity %q: it is none of Warning, Critical and Fatal", name)
}

// HealthStatus is one of Healthy, Degraded{reason} and Unhealthy{reason, severity}.
// Its JSON is that of the seed's enum: "Healthy", {"Degraded":{"reason":"slow"}},
// {"Unhealthy":{"reason":"gone","severity":"Critical"}}.
type HealthStatus struct {
	Kind     Kind
	Reason   string   // of Degraded and Unhealthy, in words
	Severity Severity // of Unhealthy
}

// Healthy is how it should be.
func Healthy() HealthStatus { return HealthStatus{} }

// Degraded works, but not as it should.
func Degraded(reason string) HealthStatus {
	return HealthStatus{Kind: KindDegraded, Reason: reason}
}

// Unhealthy does not work.
func Unhealthy(reason string, s Severity) HealthStatus {
	return HealthStatus{Kind: KindUnhealthy, Reason: reason, Severity: s}
}

// IsHealthy tells whether there is nothing to complain of.
func (s HealthStatus) IsHealthy() bool { return s.Kind == KindHealthy }

// String prints the status in one line.
func (s HealthStatus) String() string {
	switch s.Kind {
	case KindHealthy:
		return s.Kind.String()
	case KindUnhealthy:
		return fmt.Sprintf("%s (%s): %s", s.Kind, s.Severity, s.Reason)
	}
	return fmt.Sprintf("%s: %s", s.Kind, s.Reason)
}

// The fields of the two kinds that have some. Pointers tell what is missing.
type (
	degradedJSON struct {
		Reason *string `json:"reason"`
	}
	unhealthyJSON struct {
		Reason   *string   `json:"reason"`
		Severity *Severity `json:"severity"`
	}
)

// MarshalJSON writes the form that the type's comment shows.
func (s HealthStatus) MarshalJSON() ([]byte, error) {
	switch s.Kind {
	case KindHealthy:
		return json.Marshal(s.Kind.String())
	case KindDegraded:
		return json.Marshal(map[string]degradedJSON{s.Kind.String(): {&s.Reason}})
	case KindUnhealthy:
		if _, err := ParseSeverity(string(s.Severity)); err != nil {
			return nil, err
		}
		return json.Marshal(map[string]unhealthyJSON{s.Kind.String(): {&s.Reason, &s.Severity}})
	}
	return nil, fmt.Errorf("cannot write a health status of %v", s.Kind)
}

// UnmarshalJSON reads what MarshalJSON writes and, like the seed, nothing else.
func (s *HealthStatus) UnmarshalJSON(text []byte) error {
	var name string
	if json.Unmarshal(text, &name) == nil {
		if name != KindHealthy.String() {
			return fmt.Errorf("cannot read health status %q", name)
		}
		*s = Healthy()
		return nil
	}
	var tagged struct {
		Degraded  *degradedJSON
		Unhealthy *unhealthyJSON
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&tagged); err != nil {
		return fmt.Errorf("cannot read a health status: %w", err)
	}
	switch u := tagged.Unhealthy; {
	case tagged.Degraded != nil && u == nil && tagged.Degraded.Reason != nil:
		*s = Degraded(*tagged.Degraded.Reason)
		return nil
	case u != nil && tagged.Degraded == nil && u.Reason != nil && u.Severity != nil:
		severity, err := ParseSeverity(string(*u.Severity))
		*s = Unhealthy(*u.Reason, severity)
		return err
	}
	return fmt.Errorf("cannot read a health status of %s", clip(string(text)))
}

// maxWords bounds what a check quotes of somebody else's words, in bytes.
const maxWords = 256

// clip makes foreign words fit for a reason: one line, valid, not long.
func clip(words string) string {
	cut := len(words) > maxWords
	if cut {
		words = words[:maxWords]
	}
	words = strings.Join(strings.Fields(strings.ToValidUTF8(words, "")), " ")
	if cut {
		words += "..."
	}
	return words
}
