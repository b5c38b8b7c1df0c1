package vlan

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
)

// A Lease is what a DHCP server has written down about one client.
type Lease struct {
	MAC      string     // lower case, colons
	Address  netip.Addr // IPv4
	Host     string     // as the client called itself; empty where it did not
	ClientID string     // hex with colons; empty where the client sent none
}

// ReadLeases reads the lease file of a lab. A server that has given nothing away yet has no file.
func ReadLeases(path string) ([]Lease, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseLeases(f)
}

// parseLeases reads lines of five fields: expiry, MAC, address, host name, client id; "*" stands for "none"
// (dnsmasq, src/lease.c). Other lines (IPv6 leases, the server's DUID, one that is being written) are passed over.
func parseLeases(r io.Reader) ([]Lease, error) {
	var out []Lease
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) != 5 {
			continue
		}
		addr, err := netip.ParseAddr(f[2])
		hw, macErr := net.ParseMAC(f[1])
		if err != nil || macErr != nil || !addr.Is4() {
			continue
		}
		out = append(out, Lease{hw.String(), addr, known(f[3]), known(f[4])})
	}
	return out, sc.Err()
}

func known(field string) string {
	if field == "*" {
		return ""
	}
	return field
}
