package fleet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKnock(t *testing.T) {
	var asked []string
	dial := func(_ context.Context, network, addr string) (net.Conn, error) {
		asked = append(asked, network+" "+addr)
		if addr == "192.0.2.7:80" {
			return nil, errors.New("connection refused")
		}
		c, _ := net.Pipe()
		return c, nil
	}
	st := Standing{Address: netip.MustParseAddr("192.0.2.7")}
	st.knock(t.Context(), []string{"horizon", "mariadb", "nova", "keystone"}, dial)
	if diff := cmp.Diff([][]string{{"keystone"}, {"horizon"}, {"tcp 192.0.2.7:5000", "tcp 192.0.2.7:80"}}, [][]string{st.Up, st.Down, asked}); diff != "" {
		t.Error(diff)
	}
}
