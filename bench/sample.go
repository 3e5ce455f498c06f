package bench

import (
	"slices"
	"time"
)

// Summary is what a row tells of its samples, all in one unit.
type Summary struct {
	N      int       `json:"n"`
	Median float64   `json:"median"`
	P99    float64   `json:"p99"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	All    []float64 `json:"all"` // in the order they were taken
}

// summarize gives the summary of samples; nil of none.
func summarize(all []float64) *Summary {
	if len(all) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(all))
	return &Summary{
		N: len(all), Median: quantile(sorted, 50), P99: quantile(sorted, 99),
		Min: sorted[0], Max: sorted[len(sorted)-1], All: all,
	}
}

// quantile is the smallest sample that p in 100 do not exceed.
func quantile(sorted []float64, p int) float64 {
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
