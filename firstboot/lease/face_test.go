package lease

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func addr(prefix string, flags ...int) address {
	a := address{Prefix: netip.MustParsePrefix(prefix)}
	for _, f := range flags {
		a.flags |= f
	}
	return a
}

// Flags by short names, as in "ip address".
const (
	static    = unix.IFA_F_PERMANENT
	second    = unix.IFA_F_SECONDARY
	tentative = unix.IFA_F_TENTATIVE
	old       = unix.IFA_F_DEPRECATED
	dadFailed = unix.IFA_F_DADFAILED
)

func nic(index int, name string, addrs ...address) link {
	return link{index: index, name: name, kind: "device", mac: "52:54:00:00:00:01", up: true, carrier: true, addresses: addrs}
}

func under(l link, master int, kind string) link {
	l.master, l.kind = master, kind
	return l
}

func kind(l link, k string) link { l.kind = k; return l }

func TestChoose(t *testing.T) {
	lease := addr("10.0.0.7/24")
	for _, c := range []struct {
		name, link string
		s          snapshot
		want       string // "link address address6", or "" for none
		settled    bool
	}{
		{"a lease on the link of the default route", "", snapshot{links: []link{nic(2, "ens3", lease), nic(3, "ens4", addr("10.9.0.1/24"))}, routes: []route{{link: 2}}}, "ens3 10.0.0.7", true},
		{"lowest metric", "", snapshot{links: []link{nic(2, "ens3", lease), nic(3, "ens4", addr("10.9.0.1/24"))}, routes: []route{{link: 2, metric: 100}, {link: 3, metric: 50}}}, "ens4 10.9.0.1", true},
		{"IPv4's route before IPv6's", "", snapshot{links: []link{nic(2, "ens3", lease), nic(3, "ens4", addr("fd00::9/64"))}, routes: []route{{link: 3, six: true}, {link: 2, metric: 100}}}, "ens3 10.0.0.7", true},
		{"named link, another has the route", "ens4", snapshot{links: []link{nic(2, "ens3", lease), nic(3, "ens4", addr("10.9.0.1/24"))}, routes: []route{{link: 2}}}, "ens4 10.9.0.1", true},
		{"link-local is none", "ens3", snapshot{links: []link{nic(2, "ens3", addr("169.254.7.7/16"), addr("fe80::1/64"))}}, "", false},
		{"secondary is none", "ens3", snapshot{links: []link{nic(2, "ens3", addr("10.0.0.8/24", second))}}, "", false},
		{"the first of two", "ens3", snapshot{links: []link{nic(2, "ens3", lease, addr("10.0.0.8/24", second))}}, "ens3 10.0.0.7", true},
		{"deprecated is none", "ens3", snapshot{links: []link{nic(2, "ens3", addr("10.0.0.8/24", old))}}, "", false},
		{"lease before a fixed anchor", "br-ex", snapshot{links: []link{nic(2, "br-ex", addr("192.0.2.1/32", static), lease)}}, "br-ex 10.0.0.7", true},
		{"a fixed address alone is not settled", "ens3", snapshot{links: []link{nic(2, "ens3", addr("10.0.0.7/24", static))}}, "ens3 10.0.0.7", false},
		{"a fixed address with the route is", "ens3", snapshot{links: []link{nic(2, "ens3", addr("10.0.0.7/24", static))}, routes: []route{{link: 2}}}, "ens3 10.0.0.7", true},
		{"IPv6 beside IPv4", "ens3", snapshot{links: []link{nic(2, "ens3", lease, addr("fe80::1/64"), addr("fd00::7/64"))}}, "ens3 10.0.0.7 fd00::7", true},
		{"IPv6 on trial", "ens3", snapshot{links: []link{nic(2, "ens3", lease, addr("fd00::7/64", tentative))}}, "ens3 10.0.0.7", false},
		{"IPv6 temporary", "ens3", snapshot{links: []link{nic(2, "ens3", lease, addr("fd00::8/64", second), addr("fd00::7/64"))}}, "ens3 10.0.0.7 fd00::7", true},
		{"IPv6 that failed", "ens3", snapshot{links: []link{nic(2, "ens3", addr("fd00::7/64", dadFailed))}}, "", false},
		{"IPv6 alone may be too early", "ens3", snapshot{links: []link{nic(2, "ens3", addr("fd00::7/64"))}, routes: []route{{link: 2, six: true}}}, "ens3 fd00::7", false},
		{"the bridge that owns the NIC", "ens3", snapshot{links: []link{under(nic(2, "ens3"), 3, "device"), kind(nic(3, "br0", lease), "bridge")}}, "br0 10.0.0.7", true},
		{"Open vSwitch: the bridge has the route", "ens3", snapshot{links: []link{under(nic(2, "ens3"), 3, "device"), kind(nic(3, "ovs-system"), "openvswitch"), kind(nic(4, "br-ex", lease), "openvswitch")}, routes: []route{{link: 4}}}, "br-ex 10.0.0.7", true},
		{"no route, one address", "", snapshot{links: []link{nic(1, "lo", addr("127.0.0.1/8", static)), nic(2, "ens3", lease)}}, "ens3 10.0.0.7", false},
		{"no route, two addresses", "", snapshot{links: []link{nic(2, "ens3", lease), nic(3, "ens4", addr("10.9.0.1/24"))}}, "", false},
		{"no such link", "ens192", snapshot{links: []link{nic(2, "ens3", lease)}, routes: []route{{link: 2}}}, "", false},
	} {
		f, settled, ok := c.s.choose(c.link)
		got := ""
		if ok {
			got = f.Interface + " " + f.Address.String()
			if f.Address6.IsValid() {
				got += " " + f.Address6.String()
			}
		}
		if got != c.want || settled != c.settled {
			t.Errorf("%s: %q settled %v, want %q %v", c.name, got, settled, c.want, c.settled)
		}
	}
}

func TestWaiterHoldsBackWhatMayChange(t *testing.T) {
	start := time.Unix(1000, 0)
	w := waiter{name: "ens3", timeout: time.Minute, end: start.Add(time.Minute), grace: 4 * time.Second}
	six := &snapshot{links: []link{nic(2, "ens3", addr("fd00::7/64"))}}
	both := &snapshot{links: []link{nic(2, "ens3", addr("fd00::7/64"), addr("10.0.0.7/24"))}}
	if _, next, done := w.look(six, start); done || !next.Equal(start.Add(4*time.Second)) {
		t.Errorf("IPv6 alone: done %v, next %v", done, next)
	}
	if f, _, done := w.look(both, start.Add(3*time.Second)); !done || f.Address.String() != "10.0.0.7" {
		t.Errorf("IPv4 came: done %v, %+v", done, f)
	}
	w.since = time.Time{}
	w.look(six, start)
	if f, _, done := w.look(six, start.Add(4*time.Second)); !done || f.Address.String() != "fd00::7" {
		t.Errorf("nothing more came: done %v, %+v", done, f)
	}
	none := &snapshot{links: []link{nic(2, "ens3")}}
	w.look(six, start)
	if _, _, done := w.look(none, start.Add(time.Second)); done {
		t.Error("an address that went counts")
	}
	if _, _, done := w.look(six, start.Add(5*time.Second)); done {
		t.Error("an address that went and came back is as old as before")
	}
	if _, next, done := w.look(none, start.Add(time.Minute)); done || !next.IsZero() {
		t.Errorf("time is up: done %v, next %v", done, next)
	}
}

func TestTimeoutSaysWhatWasSeen(t *testing.T) {
	down := nic(3, "ens4")
	down.up, down.carrier = false, false
	cut := under(nic(2, "ens3", addr("169.254.3.4/16"), addr("10.0.0.8/24", second)), 4, "device")
	cut.carrier = false
	s := &snapshot{links: []link{nic(1, "lo"), cut, down, kind(nic(4, "br-ex"), "bridge")}}
	w := waiter{name: "br-int", timeout: 90 * time.Second}
	err := w.none(s)
	if !errors.Is(err, ErrNone) {
		t.Errorf("%v is not ErrNone", err)
	}
	for _, want := range []string{"address of br-int", "within 1m30s", "no link br-int", "ens3 (52:54:00:00:00:01) up without carrier in br-ex",
		"169.254.3.4/16 ignored: link-local", "10.0.0.8/24 ignored: secondary", "ens4 (52:54:00:00:00:01) down without address", "no default route"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "lo (") {
		t.Errorf("loopback is noise: %v", err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := Wait(ctx, "nosuchlink0", time.Minute); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

func TestWaitTimesOut(t *testing.T) {
	_, err := Wait(context.Background(), "nosuchlink0", 10*time.Millisecond)
	if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "no link nosuchlink0") {
		t.Errorf("%v", err)
	}
}
