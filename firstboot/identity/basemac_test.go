package identity

import (
	"fmt"
	"strings"
	"testing"
)

func TestNestedMACFollowsTheNIC(t *testing.T) {
	for _, c := range []struct{ why, nic, want string }{
		{"usual", "52:54:00:12:34:56", "f6:12:34:56:00:00"},
		{"sixth octet 00 would free neutron's fourth", "52:54:00:12:34:00", "f2:12:00:34:00:00"},
		{"two octets 00", "52:54:00:12:00:00", "ee:00:00:12:00:00"},
		{"fourth octet 00 alone is harmless", "52:54:00:00:00:01", "f6:00:00:01:00:00"},
		{"VMware beside QEMU", "00:50:56:12:34:56", "e6:12:34:56:00:00"},
		{"oVirt has two fixed octets", "56:6f:aa:12:34:56", "a6:12:34:56:00:00"},
		{"upper case and hyphens", "52-54-00-AB-CD-EF", "f6:ab:cd:ef:00:00"},
	} {
		got, err := NestedMAC(c.nic)
		if err != nil || got != c.want {
			t.Errorf("%s: NestedMAC(%s) = %s, %v; want %s", c.why, c.nic, got, err, c.want)
		}
	}
}

func TestNestedMACRefuses(t *testing.T) {
	for _, nic := range []string{"52:54:00:00:00:00", "", "52:54:00:12:34", "nonsense", "52:54:00:12:34:56:78:9a"} {
		if got, err := NestedMAC(nic); err == nil {
			t.Errorf("NestedMAC(%q) = %s, want an error", nic, got)
		}
	}
}

// Two clones share a base exactly when they share a NIC address; and neutron must keep the fourth octet fixed.
func TestNestedMACIsInjective(t *testing.T) {
	from := map[string]string{}
	edge := []int{0, 1, 2, 0x34, 0x80, 0xfe, 0xff}
	for _, oui := range []string{"52:54:00", "00:50:56", "00:0c:29", "00:15:5d", "08:00:27", "56:6f:01", "fa:16:3e", "00:16:3e"} {
		for _, a := range edge {
			for _, b := range edge {
				for _, c := range edge {
					nic := fmt.Sprintf("%s:%02x:%02x:%02x", oui, a, b, c)
					base, err := NestedMAC(nic)
					if a+b+c == 0 {
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					if other, taken := from[base]; taken {
						t.Fatalf("%s and %s both give %s", nic, other, base)
					}
					if strings.Split(base, ":")[3] == "00" {
						t.Fatalf("%s gives %s, whose fourth octet neutron would draw", nic, base)
					}
					from[base] = nic
				}
			}
		}
	}
}

func TestDefaultPrefix(t *testing.T) {
	if got := DefaultPrefix("52:54:00:AB:CD:EF"); got != "gsabcdef" {
		t.Errorf("DefaultPrefix = %q", got)
	}
	if got := DefaultPrefix("infiniband"); got != "" {
		t.Errorf("DefaultPrefix of no MAC = %q", got)
	}
}
