package mux

import (
	"fmt"
	"net"
	"testing"
	"testing/synctest"
)

// TestOpenConnections: a node, and all together, have so many connections open and
// no more; one that is closed makes room.
func TestOpenConnections(t *testing.T) {
	for name, tt := range map[string]struct {
		perPeer, all int
		id           func(i int) string
	}{
		"of one node": {3, 100, func(int) string { return "n1" }},
		"of all":      {100, 3, func(i int) string { return fmt.Sprint("n", i) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pl := newPipeListener()
				m := startMux(t, Config{Listener: pl, Self: ident("server"), MaxPerPeer: tt.perPeer, MaxConns: tt.all})
				l := m.Listener(HTTP)
				open := func(i int) (near net.Conn) {
					d := &Dialer{Dial: pl.dial, Self: ident(tt.id(i))}
					near, err := d.DialPurpose(t.Context(), "x", HTTP)
					if err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					return near
				}
				var far []net.Conn
				for i := range 3 {
					defer open(i).Close()
					c, err := l.Accept()
					if err != nil {
						t.Fatal(err)
					}
					far = append(far, c)
				}
				over := open(3)
				if _, err := over.Read(make([]byte, 1)); err == nil || m.Stats().Open != 3 || m.Stats().Refused != 1 {
					t.Errorf("the fourth: %v, %+v", err, m.Stats())
				}
				over.Close()
				far[0].Close()
				far[0].Close() // counts once
				defer open(4).Close()
				c, err := l.Accept()
				if err != nil || m.Stats().Open != 3 {
					t.Errorf("after one was closed: %v, %+v", err, m.Stats())
				}
				for _, c := range append(far[1:], c) {
					c.Close()
				}
				if m.Stats().Open != 0 || len(m.open.byPeer) != 0 {
					t.Errorf("after all were closed: %+v", m.Stats())
				}
			})
		})
	}
}
