package discover

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/mdlayher/packet"

	"goldsmith/firstboot/report"
	"goldsmith/fleet/vlan"
)

// Rounds of a sweep. A host that answers to the first is not asked again; the second is for a lost frame.
const (
	rounds    = 2
	roundWait = 350 * time.Millisecond
	burst     = 128                  // frames that are sent at once
	breather  = 2 * time.Millisecond // between bursts: a veth's queue holds 1,000 frames
)

// MaxHosts is the largest subnet that a sweep takes on: a /16.
const MaxHosts = 1 << 16

// etherAll is ETH_P_ALL of linux/if_ether.h.
const etherAll = 0x0003

// A Wire is a place on the VLAN to speak and listen from.
type Wire struct {
	conn   *packet.Conn
	link   *net.Interface
	source netip.Addr
}

// Open opens the bridge of a network. With everything, frames between other machines are heard too.
func Open(n vlan.Network, everything bool) (*Wire, error) {
	if n.Host != "" {
		return nil, report.Faultf(report.Usage, "cannot listen on %s: it is a bridge of another host, %s", n.Bridge, n.Host).
			WithHint("run goldsmith discover --bridge %s there", n.Bridge)
	}
	w := &Wire{source: netip.IPv4Unspecified()}
	err := n.Do(func() error {
		var err error
		if w.link, err = net.InterfaceByName(n.Bridge); err != nil {
			return report.Faultf(report.Usage, "cannot find the link %s: %w", n.Bridge, err).WithHint("ip link show")
		}
		w.source = addressOf(w.link)
		protocol := etherARP
		if everything {
			protocol = etherAll
		}
		w.conn, err = packet.Listen(w.link, packet.Raw, protocol, nil)
		return err
	})
	if err == nil && everything {
		err = w.conn.SetPromiscuous(true) // a bridge passes frames between its ports to us only then
	}
	if errors.Is(err, os.ErrPermission) {
		err = report.Faultf(report.Usage, "cannot listen on %s: %w", n.Bridge, err).WithHint("sudo goldsmith ...")
	}
	if err != nil && w.conn != nil {
		w.conn.Close()
	}
	return w, err
}

// Close ends listening.
func (w *Wire) Close() error { return w.conn.Close() }

// addressOf is the link's own IPv4 address, or 0.0.0.0.
func addressOf(l *net.Interface) netip.Addr {
	list, _ := l.Addrs()
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			return p.Addr()
		}
	}
	return netip.IPv4Unspecified()
}

// Subnet returns the IPv4 subnet of the bridge, or the zero Prefix where it has no address.
func Subnet(n vlan.Network) (netip.Prefix, error) {
	p, err := n.Subnet()
	return p.Masked(), err
}

// Sweep asks for every address of subnet and returns who answered, sorted by address. A /22 takes 0.8 s. One address
// may be answered by two machines: then both are in the list.
func (w *Wire) Sweep(ctx context.Context, subnet netip.Prefix) ([]Host, error) {
	targets, err := hostsOf(subnet)
	if err != nil {
		return nil, err
	}
	found := map[Host]bool{}
	known := map[netip.Addr]bool{w.source: true}
	for range rounds {
		targets = slices.DeleteFunc(targets, func(a netip.Addr) bool { return known[a] })
		failed := make(chan error, 1)
		if err := w.conn.SetReadDeadline(time.Time{}); err != nil {
			return nil, err
		}
		go func() { // the time to answer begins when the last has been asked
			failed <- errors.Join(w.askAll(targets), w.conn.SetReadDeadline(time.Now().Add(roundWait)))
		}()
		err := w.collect(ctx, func(h Host) {
			if subnet.Contains(h.Address) && h.By == "arp" {
				found[h], known[h.Address] = true, true
			}
		})
		if err := errors.Join(<-failed, err); err != nil {
			return nil, fmt.Errorf("cannot sweep %s on %s: %w", subnet, w.link.Name, err)
		}
	}
	return sorted(found), nil
}

// hostsOf lists the addresses of a subnet without those of the subnet itself and of broadcast.
func hostsOf(subnet netip.Prefix) ([]netip.Addr, error) {
	if !subnet.Addr().Is4() || subnet.Bits() < 16 {
		return nil, report.Faultf(report.Usage, "cannot sweep %s: want an IPv4 subnet of /16 or smaller", subnet)
	}
	a := subnet.Masked().Addr().As4()
	base, size := binary.BigEndian.Uint32(a[:]), uint32(1)<<(32-subnet.Bits())
	first, last := base+1, base+size-1
	if size <= 2 { // /31 and /32 have neither (RFC 3021)
		first, last = base, base+size
	}
	var out []netip.Addr
	for v := first; v < last; v++ {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], v)
		out = append(out, netip.AddrFrom4(b))
	}
	return out, nil
}

func (w *Wire) askAll(targets []netip.Addr) error {
	for i, a := range targets {
		if i%burst == burst-1 {
			time.Sleep(breather)
		}
		if err := w.ask(a); err != nil {
			return err
		}
	}
	return nil
}

func (w *Wire) ask(a netip.Addr) error {
	to := &packet.Addr{HardwareAddr: net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	_, err := w.conn.WriteTo(arpRequest(w.link.HardwareAddr, w.source, a), to)
	return err
}

// collect hears what others say.
func (w *Wire) collect(ctx context.Context, heard func(Host)) error {
	own := w.link.HardwareAddr.String()
	return w.listen(ctx, func(h Host) {
		if h.MAC != own {
			heard(h)
		}
	})
}

// listen hears frames until the deadline of the connection, or until ctx ends; neither is an error.
func (w *Wire) listen(ctx context.Context, heard func(Host)) error {
	stop := context.AfterFunc(ctx, func() { w.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf := make([]byte, 2048)
	for ctx.Err() == nil {
		n, _, err := w.conn.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
		if h, ok := hear(buf[:n]); ok {
			heard(h)
		}
	}
	return nil
}

// Listen reports every machine that is heard for the first time, or that is heard with a new address, until ctx ends.
// It sends nothing.
func (w *Wire) Listen(ctx context.Context, found func(Host)) error {
	last := map[string]netip.Addr{}
	if err := w.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	return w.listen(ctx, func(h Host) {
		if last[h.MAC] != h.Address {
			last[h.MAC] = h.Address
			found(h)
		}
	})
}

// Resolve asks who has one address, up to ten times in two seconds.
func (w *Wire) Resolve(ctx context.Context, a netip.Addr) (string, error) {
	mac := ""
	for range 10 {
		if err := w.ask(a); err != nil {
			return "", err
		}
		if err := w.conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			return "", err
		}
		err := w.collect(ctx, func(h Host) {
			if h.Address == a && mac == "" {
				mac = h.MAC
				w.conn.SetReadDeadline(time.Unix(1, 0)) // enough
			}
		})
		if mac != "" || err != nil || ctx.Err() != nil {
			return mac, errors.Join(err, ctx.Err())
		}
	}
	return "", fmt.Errorf("no answer to ARP on %s", w.link.Name)
}

func sorted(found map[Host]bool) []Host {
	var out []Host
	for h := range found {
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b Host) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.MAC, b.MAC))
	})
	return out
}
