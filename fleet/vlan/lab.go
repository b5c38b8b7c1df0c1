package vlan

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"goldsmith/firstboot/report"
	"goldsmith/fleet/process"
)

// DefaultSubnet is the subnet of a lab that was not given one. It may be the same for any number of labs: each stands in
// a namespace of its own.
const DefaultSubnet = "10.0.9.0/24"

// labBridge is the bridge inside a lab's namespace.
const labBridge = "gold0"

// A Lab is a private VLAN: a network namespace, a bridge and a DHCP server. It belongs to one fleet and goes with it.
type Lab struct {
	Network
	Subnet        netip.Prefix `json:"subnet"`                  // IPv4
	Authoritative bool         `json:"authoritative,omitempty"` // the DHCP server says no to leases that it does not know
	LeaseTime     string       `json:"lease_time"`              // as dnsmasq reads it: 1h, 120s
	Pool          int          `json:"pool,omitempty"`          // addresses to give away; zero: all that there are
	Dir           string       `json:"dir"`                     // where the DHCP server keeps its leases and log
	Server        process.ID   `json:"server,omitzero"`
}

// NewLab describes a lab in a namespace called after the fleet; dir is for its files. It makes nothing.
func NewLab(fleet string, subnet netip.Prefix, dir string) *Lab {
	return &Lab{
		Network: Network{Bridge: labBridge, Namespace: "gold-" + fleet},
		Subnet:  subnet.Masked(), Authoritative: true, LeaseTime: "1h", Dir: dir,
	}
}

// Leases is the file in which the DHCP server keeps its leases.
func (l *Lab) Leases() string { return filepath.Join(l.Dir, "leases") }

// Log is the file in which the DHCP server writes down every packet.
func (l *Lab) Log() string { return filepath.Join(l.Dir, "dhcp.log") }

// Check says what would keep the lab from being made, all at once. Nothing is touched.
func (l *Lab) Check() error {
	var errs []error
	if _, err := exec.LookPath("dnsmasq"); err != nil {
		errs = append(errs, report.Faultf(report.Usage, "cannot make a lab: dnsmasq is not installed").
			WithHint("apt-get install dnsmasq-base"))
	}
	if _, err := exec.LookPath("ip"); err != nil {
		errs = append(errs, report.Faultf(report.Usage, "cannot make a lab: ip is not installed").
			WithHint("apt-get install iproute2"))
	}
	if _, err := os.Lstat(filepath.Join(namespaces, l.Namespace)); err == nil {
		errs = append(errs, report.Faultf(report.Usage, "cannot make the network namespace %s: it exists already", l.Namespace).
			WithHint("goldsmith list").
			WithHint("ip netns delete %s", l.Namespace))
	}
	if _, _, err := l.addresses(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Up makes the lab. record is called when the DHCP server exists and before it runs; l.Server is set by then.
func (l *Lab) Up(record func() error) error {
	if err := os.MkdirAll(l.Dir, 0o700); err != nil {
		return err
	}
	if err := nameNamespace(l.Namespace); err != nil {
		return fmt.Errorf("cannot make the network namespace %s: %w", l.Namespace, err)
	}
	first, _, err := l.addresses()
	if err != nil {
		return err
	}
	// The kernel's forward delay may hold every new port back for 15 s; DHCP clients would count that as silence.
	script := fmt.Sprintf("link set lo up\nlink add %[1]s type bridge forward_delay 0\naddr add %[2]s/%[3]d dev %[1]s\nlink set %[1]s up\n",
		l.Bridge, first, l.Subnet.Bits())
	if err := ip(script, "-n", l.Namespace, "-batch", "-"); err != nil {
		return fmt.Errorf("cannot make the bridge %s: %w", l.Bridge, err)
	}
	if err := l.finishChecksums(); err != nil {
		return err
	}
	return l.Serve(record)
}

// Serve starts the DHCP server of a lab that is up.
func (l *Lab) Serve(record func() error) error {
	log, err := os.OpenFile(l.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	argv, err := l.command()
	if err != nil {
		return err
	}
	return l.Do(func() error {
		return process.StartGated(argv, process.Options{Log: log}, func(id process.ID) error {
			l.Server = id
			return record()
		})
	})
}

// command is the DHCP server: no DNS, no host names, no configuration of the host's. Without --no-ping it is silent for
// 3 s before every first offer, and for everybody meanwhile: 24 clones would wait for more than a minute.
func (l *Lab) command() ([]string, error) {
	first, last, err := l.pool()
	if err != nil {
		return nil, err
	}
	argv := []string{
		"dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--no-hosts", "--no-resolv", "--user=root",
		"--pid-file=", "--no-ping", "--interface=" + l.Bridge, "--bind-interfaces", "--dhcp-leasefile=" + l.Leases(), "--log-dhcp",
		"--log-facility=-", "--dhcp-lease-max=100000",
		fmt.Sprintf("--dhcp-range=%s,%s,%s,%s", first, last, net.IP(mask(l.Subnet)), l.LeaseTime),
	}
	if l.Authoritative {
		argv = append(argv, "--dhcp-authoritative")
	}
	return argv, nil
}

// Down removes the lab, whatever of it is there: the server, the bridge, the namespace. Its files go with the fleet's.
func (l *Lab) Down(ctx context.Context) error {
	if err := l.Server.Kill(ctx); err != nil {
		return fmt.Errorf("cannot stop the DHCP server of %s: %w", l.Namespace, err)
	}
	if _, err := os.Lstat(filepath.Join(namespaces, l.Namespace)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	// The bridge goes first and by itself: a shell that somebody left in the namespace would keep both.
	if nl, err := l.links(); err == nil {
		err = removeLink(nl, l.Bridge)
		nl.Close()
		if err != nil {
			return err
		}
	}
	if err := unnameNamespace(l.Namespace); err != nil {
		return fmt.Errorf("cannot remove the network namespace %s: %w", l.Namespace, err)
	}
	return nil
}

// ip runs iproute2 with script as its standard input.
func ip(script string, args ...string) error {
	cmd := exec.Command("ip", args...)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %s", strings.Join(args, " "), strings.TrimSpace(string(out)))
	}
	return nil
}

// reserved addresses at the start of a subnet are the bridge's and those that a test may give out by hand.
const reserved = 20

// smallest is the longest prefix that leaves room for the bridge and a few clones.
const smallest = 29

// addresses returns the bridge's address and the last one that can be given away.
func (l *Lab) addresses() (first, last netip.Addr, err error) {
	if !l.Subnet.Addr().Is4() || l.Subnet.Bits() > smallest || l.Subnet.Bits() < 8 {
		return first, last, report.Faultf(report.Usage, "cannot use the subnet %s for a lab: want IPv4, /8 to /%d", l.Subnet, smallest).
			WithHint("--subnet %s", DefaultSubnet)
	}
	a := l.Subnet.Addr().As4()
	base := binary.BigEndian.Uint32(a[:])
	size := uint32(1) << (32 - l.Subnet.Bits())
	return fromUint(base + 1), fromUint(base + size - 2), nil
}

// Address returns the bridge's own address, also of a lab that is not up.
func (l *Lab) Address() (netip.Addr, error) {
	first, _, err := l.addresses()
	return first, err
}

// pool returns the first and the last address that the server gives away.
func (l *Lab) pool() (first, last netip.Addr, err error) {
	bridge, last, err := l.addresses()
	if err != nil {
		return first, last, err
	}
	a := bridge.As4()
	skip := uint32(reserved)
	if l.Subnet.Bits() > 26 {
		skip = 1 // a small subnet reserves the bridge's own address only
	}
	begin := binary.BigEndian.Uint32(a[:]) + skip
	if first = fromUint(begin); l.Pool > 0 {
		if end := fromUint(begin + uint32(l.Pool) - 1); end.Less(last) {
			last = end
		}
	}
	return first, last, nil
}

func fromUint(v uint32) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], v)
	return netip.AddrFrom4(a)
}

func mask(p netip.Prefix) net.IPMask { return net.CIDRMask(p.Bits(), 32) }
