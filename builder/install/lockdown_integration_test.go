//go:build integration

package install

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

const port = 3300

// lab is the network of the plugin's manual: guests and storage on one bridge.
//
//	guest1, guest2 --- onebr0 (hv: 10.0.3.1, 10.0.2.1) --- eth0 --- lan (10.0.2.50 storage, 10.0.3.200 another guest's host)
type lab struct{ prefix string }

// labs counts them, for their names.
var labs atomic.Int32

func (l lab) ns(name string) string { return l.prefix + name }

func newLab(t *testing.T) lab {
	t.Helper()
	l := lab{fmt.Sprintf("gs%d-%d-", os.Getpid(), labs.Add(1))}
	for _, n := range []string{"hv", "guest1", "guest2", "lan"} {
		run(t, "ip", "netns", "add", l.ns(n))
		t.Cleanup(func() { run(t, "ip", "netns", "del", l.ns(n)) })
		run(t, "ip", "-n", l.ns(n), "link", "set", "lo", "up")
	}
	hv := l.ns("hv")
	run(t, "ip", "-n", hv, "link", "add", "onebr0", "type", "bridge", "forward_delay", "0")
	for _, p := range [][2]string{{"guest1", "tap1"}, {"guest2", "tap2"}, {"lan", "eth0"}} {
		run(t, "ip", "-n", hv, "link", "add", p[1], "type", "veth", "peer", "name", "if0", "netns", l.ns(p[0]))
		run(t, "ip", "-n", hv, "link", "set", p[1], "master", "onebr0", "up")
		run(t, "ip", "-n", l.ns(p[0]), "link", "set", "if0", "up")
	}
	run(t, "ip", "-n", hv, "link", "set", "onebr0", "up")
	for addr, where := range map[string]string{"10.0.3.1/24": "hv onebr0", "10.0.2.1/24": "hv onebr0", "10.0.3.10/24": "guest1 if0",
		"10.0.2.99/24": "guest1 if0", "172.16.9.9/32": "guest1 if0", "10.0.3.11/24": "guest2 if0", "10.0.2.50/24": "lan if0",
		"10.0.3.200/24": "lan if0", "fd00:2::1/64": "hv onebr0", "fd00:3::1/64": "hv onebr0", "fd00:2::99/64": "guest1 if0", "fd00:2::50/64": "lan if0"} {
		n, dev, _ := strings.Cut(where, " ")
		extra := []string{}
		if strings.Contains(addr, "::") {
			extra = append(extra, "nodad")
		}
		run(t, "ip", append([]string{"-n", l.ns(n), "addr", "add", addr, "dev", dev}, extra...)...)
	}
	run(t, "ip", "netns", "exec", hv, "sysctl", "-q", "net.ipv4.ip_forward=1")
	run(t, "ip", "-n", hv, "route", "add", "172.16.9.9", "dev", "onebr0")
	for _, n := range []string{"hv", "guest2", "lan"} {
		l.within(t, n, func() error { return listen(t) })
	}
	return l
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// within runs f on a thread that is in a namespace. The thread is thrown away.
func (l lab) within(t *testing.T, name string, f func() error) error {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		fd, err := unix.Open("/run/netns/"+l.ns(name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			defer unix.Close(fd)
			err = unix.Setns(fd, unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// listen needs no accept: the kernel completes the handshake. The socket takes IPv4 as well.
func listen(t *testing.T) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	t.Cleanup(func() { unix.Close(fd) })
	return errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0), unix.Bind(fd, &unix.SockaddrInet6{Port: port}), unix.Listen(fd, 64))
}

// connect says whether from reaches to within a second; from is "namespace" or "namespace source-address".
func (l lab) connect(t *testing.T, from, to string) bool {
	t.Helper()
	name, source, _ := strings.Cut(from, " ")
	err := l.within(t, name, func() error {
		family := unix.AF_INET
		if strings.Contains(to, ":") {
			family = unix.AF_INET6
		}
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if source != "" {
			if err := unix.Bind(fd, sockaddr(source, 0)); err != nil {
				return err
			}
		}
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 1}); err != nil {
			return err
		}
		return unix.Connect(fd, sockaddr(to, port))
	})
	return err == nil
}

func sockaddr(addr string, port int) unix.Sockaddr {
	a := netip.MustParseAddr(addr)
	if a.Is4() {
		return &unix.SockaddrInet4{Port: port, Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Port: port, Addr: a.As16()}
}

// A frame is one that no socket of the kernel's own sends: tagged, or from no address.
type frame struct {
	tagged         bool // with the VLAN tag 0: receivers take it off, and go on as if there was none
	to             string
	source, dest   string // addresses
	sourcePort, at byte
}

const payload = "hear me"

// hears says whether a frame from guest1 arrives at a UDP socket of a namespace.
func (l lab) hears(t *testing.T, name string, f frame) bool {
	t.Helper()
	var server int
	if err := l.within(t, name, func() (err error) {
		if server, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return errors.Join(unix.SetsockoptTimeval(server, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}),
			unix.SetsockoptInt(server, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0), unix.Bind(server, &unix.SockaddrInet6{Port: int(f.at)}))
	}); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(server)
	if err := l.within(t, "guest1", f.send); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, _, err := unix.Recvfrom(server, buf, 0)
	return err == nil && string(buf[:n]) == payload
}

// send writes the frame to if0 of the namespace that the thread is in.
func (f frame) send() error {
	ifi, err := net.InterfaceByName("if0")
	if err != nil {
		return err
	}
	to, err := net.ParseMAC(f.to)
	if err != nil {
		return err
	}
	kind, packet := f.packet()
	if f.tagged {
		kind = slices.Concat([]byte{0x81, 0x00, 0, 0}, kind)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, slices.Concat(to, ifi.HardwareAddr, kind, packet), 0, &unix.SockaddrLinklayer{Ifindex: ifi.Index})
}

// packet returns the frame's type and what it carries.
func (f frame) packet() (kind, packet []byte) {
	source, dest := netip.MustParseAddr(f.source), netip.MustParseAddr(f.dest)
	length := 8 + byte(len(payload))
	udp := slices.Concat([]byte{0, f.sourcePort, 0, f.at, 0, length, 0, 0}, []byte(payload))
	pseudo := slices.Concat(source.AsSlice(), dest.AsSlice(), []byte{0, unix.IPPROTO_UDP, 0, length}) // RFC 8200, 8.1
	copy(udp[6:], checksum(pseudo, udp))
	if dest.Is6() {
		return []byte{0x86, 0xdd}, slices.Concat([]byte{0x60, 0, 0, 0, 0, length, unix.IPPROTO_UDP, 64}, source.AsSlice(), dest.AsSlice(), udp)
	}
	ip := slices.Concat([]byte{0x45, 0, 0, 20 + length, 0, 1, 0, 0, 64, unix.IPPROTO_UDP, 0, 0}, source.AsSlice(), dest.AsSlice())
	copy(ip[10:], checksum(ip))
	return []byte{0x08, 0x00}, slices.Concat(ip, udp)
}

// checksum is the Internet's (RFC 1071) over parts, of which all but the last have an even length.
func checksum(parts ...[]byte) []byte {
	sum := uint32(0)
	for _, b := range parts {
		for i := range b {
			sum += uint32(b[i]) << (8 * (1 - i%2))
		}
	}
	for sum>>16 > 0 {
		sum = sum>>16 + sum&0xffff
	}
	return []byte{byte(^sum >> 8), byte(^sum)}
}

// mac returns the MAC of a link in a namespace.
func (l lab) mac(t *testing.T, name, link string) string {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", l.ns(name), "cat", "/sys/class/net/"+link+"/address").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestLockdownHoldsInNamespaces(t *testing.T) {
	// iptables filters IPv4 only, and refuses a storage network of the other kind.
	manual6, every := manual(), manual()
	every.Bridge = ""
	manual6.Storage = append(manual6.Storage, netip.MustParsePrefix("fd00:2::/64"))
	every6 := every
	every6.Storage = manual6.Storage
	for name, form := range map[string]struct {
		load  func(*testing.T, lab, Lockdown)
		rules Lockdown
	}{
		"nft":                    {loadNFT, manual6},
		"nft, every bridge":      {loadNFT, every6},
		"iptables":               {loadIPTables, manual()},
		"iptables, every bridge": {loadIPTables, every},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			if form.rules.Bridge != "" && name == "nft" && !knowsBridges(t, l) {
				t.Skip("this kernel is built without nft_meta_bridge")
			}
			// The gateway of guest1 is the host, so its way to 10.0.2.50 from 10.0.3.10 is routed and from 10.0.2.99 bridged.
			run(t, "ip", "-n", l.ns("guest1"), "rule", "add", "from", "10.0.3.10", "lookup", "100")
			run(t, "ip", "-n", l.ns("guest1"), "route", "add", "10.0.3.0/24", "dev", "if0", "table", "100")
			run(t, "ip", "-n", l.ns("guest1"), "route", "add", "default", "via", "10.0.3.1", "table", "100")
			six := len(form.rules.Storage) > 1
			flows := []struct {
				what, from, to string
				after          bool
			}{
				{"routed to the storage", "guest1 10.0.3.10", "10.0.2.50", false},
				{"to the host's storage address", "guest1 10.0.3.10", "10.0.2.1", false},
				{"as a storage host, across the bridge", "guest1 10.0.2.99", "10.0.2.50", false},
				{"as a storage host, to the host", "guest1 10.0.2.99", "10.0.2.1", false},
				{"with a foreign address to the host", "guest1 10.0.2.99", "10.0.3.1", false},
				{"with an address of neither network to the host", "guest1 172.16.9.9", "10.0.3.1", false},
				{"by IPv6 to the storage", "guest1 fd00:2::99", "fd00:2::50", !six},
				{"by IPv6 to the host", "guest1 fd00:2::99", "fd00:2::1", !six},
				{"host to storage by IPv6", "hv", "fd00:2::50", true},
				{"guest to its gateway", "guest1 10.0.3.10", "10.0.3.1", true},
				{"guest to guest", "guest1 10.0.3.10", "10.0.3.11", true},
				{"guest to the outside", "guest1 10.0.3.10", "10.0.3.200", true},
				{"host to storage", "hv", "10.0.2.50", true},
				{"storage to host", "lan 10.0.2.50", "10.0.2.1", true},
				{"outside to guest", "lan 10.0.3.200", "10.0.3.11", true},
			}
			frames := []struct {
				what, at string
				frame    frame
				after    bool
			}{
				{"a DHCP request", "hv", frame{false, "ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255", 68, 67}, true},
				{"a frame from no address that is no DHCP request", "hv", frame{false, "ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255", 68, 69}, false},
				{"a tagged frame to the storage", "lan", frame{true, l.mac(t, "lan", "if0"), "10.0.2.99", "10.0.2.50", 68, 67}, false},
				{"a tagged frame to the host's storage address", "hv", frame{true, l.mac(t, "hv", "onebr0"), "10.0.3.10", "10.0.2.1", 68, 67}, false},
				{"a tagged frame with a foreign address", "hv", frame{true, l.mac(t, "hv", "onebr0"), "172.16.9.9", "10.0.3.1", 68, 67}, false},
				{"a tagged IPv6 frame to the storage", "lan", frame{true, l.mac(t, "lan", "if0"), "fd00:2::99", "fd00:2::50", 68, 67}, !six},
				{"a tagged IPv6 frame with a foreign address", "hv", frame{true, l.mac(t, "hv", "onebr0"), "fd00:9::9", "fd00:3::1", 68, 67}, !six},
				{"a tagged frame of an honest guest", "hv", frame{true, l.mac(t, "hv", "onebr0"), "10.0.3.10", "10.0.3.1", 68, 67}, true},
			}
			for _, f := range flows {
				if !l.connect(t, f.from, f.to) {
					t.Errorf("before the rules, %s does not flow", f.what)
				}
			}
			for _, f := range frames {
				if !l.hears(t, f.at, f.frame) {
					t.Errorf("before the rules, %s does not arrive", f.what)
				}
			}
			for range 2 { // loading again changes nothing
				form.load(t, l, form.rules)
			}
			for _, f := range flows {
				if got := l.connect(t, f.from, f.to); got != f.after {
					t.Errorf("%s: flows is %v, want %v", f.what, got, f.after)
				}
			}
			for _, f := range frames {
				if got := l.hears(t, f.at, f.frame); got != f.after {
					t.Errorf("%s: arrives is %v, want %v", f.what, got, f.after)
				}
			}
		})
	}
}

// knowsBridges tells whether the kernel can match a bridge by name.
func knowsBridges(t *testing.T, l lab) bool {
	t.Helper()
	rule := `table bridge probe { chain c { meta ibrname "x" accept; }; }`
	cmd := exec.Command("ip", "netns", "exec", l.ns("guest2"), "nft", rule)
	out, err := cmd.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "not supported") {
		t.Fatalf("%v: %s", err, out)
	}
	return err == nil
}

func loadNFT(t *testing.T, l lab, rules Lockdown) {
	t.Helper()
	text, err := rules.NFT()
	if err != nil {
		t.Fatal(err)
	}
	feed(t, l, text, "nft", "-f", "/dev/stdin")
}

func loadIPTables(t *testing.T, l lab, rules Lockdown) {
	t.Helper()
	text, err := rules.IPTables()
	if err != nil {
		t.Fatal(err)
	}
	feed(t, l, text, "sh")
	out, err := exec.Command("ip", "netns", "exec", l.ns("hv"), "iptables", "-S").CombinedOutput()
	if err != nil || strings.Count(string(out), "-j STORAGE-LOCKDOWN-IN") != 1 {
		t.Errorf("%v\n%s", err, out)
	}
}

func feed(t *testing.T, l lab, stdin string, args ...string) {
	t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", l.ns("hv")}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

func TestUnitsPassSystemdsCheck(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatalf("%v\nhint: make setup installs systemd", err)
	}
	dir := t.TempDir()
	name, text := StoreMount{ID: 100, Source: "nas:/one/100", Type: "nfs"}.Unit()
	for file, data := range map[string]string{name: text, "storage-lockdown.service": strings.ReplaceAll(lockdownUnit, "/usr/sbin/nft", "/bin/true")} {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(tool, "verify", "--man=no", path).CombinedOutput()
		if err != nil || strings.Contains(string(out), file) {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}
