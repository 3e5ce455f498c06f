package node

import (
	"fmt"
	"net"
	"testing"
)

// TestAgentFindsPortOfAllAddresses: the port that the keeper holds for a node bound
// to 0.0.0.0 is found by the next agent. It called itself [::], was taken for
// another's, and kept every later agent from its own port for ever.
func TestAgentFindsPortOfAllAddresses(t *testing.T) {
	for _, tt := range []struct {
		listen, asked string
		want          bool
	}{
		{"0.0.0.0", "0.0.0.0", true},
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1", "0.0.0.0", false},
		{"0.0.0.0", "127.0.0.1", false},
		{"127.0.0.1", "127.0.0.2", false},
		{"0.0.0.0", "a.host", false},
	} {
		lis, err := net.Listen("tcp", net.JoinHostPort(tt.listen, "0"))
		if err != nil {
			t.Fatal(err)
		}
		port := lis.Addr().(*net.TCPAddr).Port
		if got := listensAt(lis, fmt.Sprintf("%s:%d", tt.asked, port)); got != tt.want {
			t.Errorf("bound to %s, asked for %s: %v (it calls itself %v)", tt.listen, tt.asked, got, lis.Addr())
		}
		if listensAt(lis, fmt.Sprintf("%s:%d", tt.asked, port+1)) {
			t.Errorf("bound to %s: found at another port", tt.listen)
		}
		lis.Close()
	}
}
