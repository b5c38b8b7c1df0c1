//go:build integration

package install

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const port = 3300

// lab is the network of the plugin's manual: guests and storage on one bridge.
//
//	guest1, guest2 --- onebr0 (hv: 10.0.3.1, 10.0.2.1) --- eth0 --- lan (10.0.2.50 storage, 10.0.3.200 another guest's host)
type lab struct{ prefix string }

func (l lab) ns(name string) string { return l.prefix + name }

func newLab(t *testing.T) lab {
	t.Helper()
	l := lab{fmt.Sprintf("gs%d-", os.Getpid())}
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
		"10.0.2.99/24": "guest1 if0", "10.0.3.11/24": "guest2 if0", "10.0.2.50/24": "lan if0", "10.0.3.200/24": "lan if0"} {
		n, dev, _ := strings.Cut(where, " ")
		run(t, "ip", "-n", l.ns(n), "addr", "add", addr, "dev", dev)
	}
	run(t, "ip", "netns", "exec", hv, "sysctl", "-q", "net.ipv4.ip_forward=1")
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

// listen needs no accept: the kernel completes the handshake.
func listen(t *testing.T) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	t.Cleanup(func() { unix.Close(fd) })
	return errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Port: port}), unix.Listen(fd, 64))
}

// connect says whether from reaches to within a second; from is "namespace" or "namespace source-address".
func (l lab) connect(t *testing.T, from, to string) bool {
	t.Helper()
	name, source, _ := strings.Cut(from, " ")
	err := l.within(t, name, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if source != "" {
			if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: netip.MustParseAddr(source).As4()}); err != nil {
				return err
			}
		}
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 1}); err != nil {
			return err
		}
		return unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: netip.MustParseAddr(to).As4()})
	})
	return err == nil
}

func TestLockdownHoldsInNamespaces(t *testing.T) {
	every := manual()
	every.Bridge = ""
	for name, form := range map[string]struct {
		load  func(*testing.T, lab, Lockdown)
		rules Lockdown
	}{
		"nft":                    {loadNFT, manual()},
		"nft, every bridge":      {loadNFT, every},
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
			flows := []struct {
				what, from, to string
				after          bool
			}{
				{"routed to the storage", "guest1 10.0.3.10", "10.0.2.50", false},
				{"to the host's storage address", "guest1 10.0.3.10", "10.0.2.1", false},
				{"as a storage host, across the bridge", "guest1 10.0.2.99", "10.0.2.50", false},
				{"as a storage host, to the host", "guest1 10.0.2.99", "10.0.2.1", false},
				{"with a foreign address to the host", "guest1 10.0.2.99", "10.0.3.1", false},
				{"guest to its gateway", "guest1 10.0.3.10", "10.0.3.1", true},
				{"guest to guest", "guest1 10.0.3.10", "10.0.3.11", true},
				{"guest to the outside", "guest1 10.0.3.10", "10.0.3.200", true},
				{"host to storage", "hv", "10.0.2.50", true},
				{"storage to host", "lan 10.0.2.50", "10.0.2.1", true},
				{"outside to guest", "lan 10.0.3.200", "10.0.3.11", true},
			}
			for _, f := range flows {
				if !l.connect(t, f.from, f.to) {
					t.Errorf("before the rules, %s does not flow", f.what)
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
