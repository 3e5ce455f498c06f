package show

import (
	"bytes"
	"testing"

	"github.com/selfware/selfware/simulate"
	"github.com/selfware/selfware/spec"
)

const works = `
name: shop
restart_policy: {max_restarts: 1, max_seconds: 60, backoff: {fixed: 200ms}}
children:
  - {id: store, run: store}
  - id: job
    supervisor: {auto_shutdown: any}
    children:
      - {id: load, run: load, restart_type: temporary, significant: true}
      - {id: feed, run: feed}
`

// TestSignificantSchedules: policy explain says what a significant child means.
func TestSignificantSchedules(t *testing.T) {
	tree, err := spec.Parse("tree.yaml", []byte(works))
	if err != nil {
		t.Fatal(err)
	}
	all, err := simulate.Explain(tree, "shop/job")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	Schedules(&b, all, Style{})
	compareGolden(t, "schedules-significant", b.String())
}
