package link

// Health is what a node's checks of itself say (supervisor/health): memory, disk, clock.
// The zero value is well.
type Health struct {
	Level HealthLevel `cbor:"level" json:"level"`
	// Reason says what is amiss, in words; empty if nothing is.
	Reason string `cbor:"reason" json:"reason"`
}

// HealthLevel is how a node is.
type HealthLevel uint8

// Placement passes a degraded node over while another fits; an unhealthy one has its
// circuit open.
const (
	HealthWell HealthLevel = iota
	HealthDegraded
	HealthUnhealthy
)

var healthNames = [...]string{"healthy", "degraded", "unhealthy"}

func (l HealthLevel) String() string { return healthNames[min(int(l), len(healthNames)-1)] }
