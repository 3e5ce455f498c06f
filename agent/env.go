package agent

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/selfware/selfware/fence"
	"github.com/selfware/selfware/supervisor"
)

// reserved is the prefix of names that only the agent sets.
const reserved = "SELFWARE_"

// environment is what a life gets over the environment of its node, sorted:
// base, then the program's own, then SELFWARE_*, which nobody can override.
func environment(base map[string]string, node string, ref supervisor.Ref, o *order) []string {
	env := make(map[string]string, len(base)+8)
	for _, m := range []map[string]string{base, o.program.Env} {
		for k, v := range m {
			if !strings.HasPrefix(k, reserved) {
				env[k] = v
			}
		}
	}
	env["SELFWARE_CHILD"] = ref.Path
	env[fence.EnvEpoch] = strconv.FormatUint(uint64(ref.Epoch), 10)
	env[fence.EnvGeneration] = strconv.FormatUint(o.generation, 10)
	env[fence.Env] = fence.Token{Generation: o.generation, Epoch: uint64(ref.Epoch)}.String()
	env["SELFWARE_NODE"] = node
	env["SELFWARE_START_REASON"] = o.reason
	env["SELFWARE_ATTEMPT"] = strconv.Itoa(o.attempt)
	if o.instance != "" {
		env["SELFWARE_INSTANCE"] = o.instance
	}
	list := make([]string, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, k+"="+env[k])
	}
	return list
}
