package otopi

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

var (
	uuidPattern  = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	labelPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	heapPattern  = regexp.MustCompile(`^[0-9]+[kKmMgG]$`)
)

// badForm says what is wrong with a value of a form, "" when nothing is. The text is not empty.
func badForm(form, text string) string {
	switch form {
	case "fqdn":
		return badFQDN(text)
	case "host":
		return badHost(text)
	case "uuid":
		return unless(uuidPattern.MatchString(text), "a UUID has 8-4-4-4-12 hexadecimal digits")
	case "mac":
		return badMAC(text)
	case "ip":
		_, err := netip.ParseAddr(text)
		return unless(err == nil, "it must be an IP address")
	case "port":
		return badRange(text, 1, 65535, "a port")
	case "hostid":
		return badRange(text, 1, 250, "a sanlock host id")
	case "positive":
		return badRange(text, 1, 1<<30, "the number")
	case "memory":
		return badRange(text, 4096, 1<<30, "the engine's memory in MB")
	case "path":
		return unless(strings.HasPrefix(text, "/"), "it must be an absolute path")
	case "export":
		host, path, ok := strings.Cut(text, ":/")
		return unless(ok && host != "" && path != "", "a storage connection is host:/path")
	case "interface":
		return unless(len(text) <= 15 && !strings.ContainsAny(text, "/: \t"), "it is no name of a network interface (at most 15 characters, no blank, slash or colon)")
	case "organization":
		return unless(len(text) <= 64, "a certificate's organization has at most 64 characters")
	case "heap":
		return unless(heapPattern.MatchString(text), "a Java heap size is a number and M or G, as 1024M")
	}
	return ""
}

func unless(ok bool, text string) string {
	if ok {
		return ""
	}
	return text
}

func badRange(text string, low, high int, what string) string {
	n, err := strconv.Atoi(text)
	if err != nil {
		return what + " must be a whole number"
	}
	if n < low || n > high {
		return fmt.Sprintf("%s must be in %d to %d", what, low, high)
	}
	return ""
}

func badFQDN(text string) string {
	if _, err := netip.ParseAddr(text); err == nil {
		return "it must be a name: certificates and the single sign-on are bound to it, and setup refuses an address"
	}
	if bad := badHost(text); bad != "" {
		return bad
	}
	if text == "localhost" || strings.HasPrefix(text, "localhost.") {
		return "localhost is not a name that hosts can reach the engine by"
	}
	return unless(strings.Contains(text, "."), "the name has no domain")
}

func badHost(text string) string {
	if _, err := netip.ParseAddr(text); err == nil {
		return ""
	}
	for label := range strings.SplitSeq(text, ".") {
		if !labelPattern.MatchString(label) {
			return "it is no host name (letters, digits and hyphens, parted by dots)"
		}
	}
	return ""
}

func badMAC(text string) string {
	hw, err := net.ParseMAC(text)
	switch {
	case err != nil || len(hw) != 6 || len(text) != 17 || strings.Contains(text, "-"):
		return "a MAC address is written 00:16:3e:01:02:03"
	case hw[0]&1 == 1:
		return "the MAC address is a multicast address"
	}
	return ""
}
