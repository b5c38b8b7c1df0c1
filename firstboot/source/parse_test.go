package source

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"goldsmith/firstboot/identity"
)

// check compares a draft with the wanted claim, or with a piece of the wanted error.
func check(t *testing.T, d *draft, want identity.Claim, fault string) {
	t.Helper()
	var text string
	for _, e := range d.errs {
		text += e.Error() + "\n"
	}
	if fault != "" {
		if !strings.Contains(text, fault) {
			t.Errorf("errors %q do not say %q", text, fault)
		}
		return
	}
	if text != "" {
		t.Fatalf("unexpected errors: %s", text)
	}
	if diff := cmp.Diff(want, d.claim, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
}

func TestParseCmdline(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       identity.Claim
		fault      string
	}{
		{"all fields", `BOOT_IMAGE=/vmlinuz root=/dev/vda1 goldsmith.hostname=c1.example.org. goldsmith.instance=i-1 goldsmith.interface=br-ex goldsmith.prefix=t7 goldsmith.phone-home=https://lab/r?x=1`,
			identity.Claim{Hostname: "c1.example.org", Instance: "i-1", Interface: "br-ex", Prefix: "t7", PhoneHome: "https://lab/r?x=1"}, ""},
		{"peers", "goldsmith.peer.net-node=10.0.0.5 goldsmith.peer.c2=fd00::2",
			identity.Claim{Peers: map[string]netip.Addr{"net-node": netip.MustParseAddr("10.0.0.5"), "c2": netip.MustParseAddr("fd00::2")}}, ""},
		{"quotes of the kernel", `dyndbg="file a +p" "goldsmith.hostname=c1" goldsmith.instance="i 1`, identity.Claim{}, `' ' may not stand`},
		{"quoted value", `goldsmith.hostname="c1"`, identity.Claim{Hostname: "c1"}, ""},
		{"twice", "goldsmith.hostname=a goldsmith.hostname=b", identity.Claim{}, "stands twice"},
		{"empty", "goldsmith.hostname=", identity.Claim{}, "hostname"},
		{"localhost", "goldsmith.hostname=localhost.localdomain", identity.Claim{}, "every machine's own name"},
		{"address as name", "goldsmith.hostname=10.0.0.1", identity.Claim{}, "is an address"},
		{"long label", "goldsmith.hostname=" + strings.Repeat("a", 64), identity.Claim{}, "not a host name"},
		{"long name", "goldsmith.hostname=" + strings.Repeat("a.", 130) + "a", identity.Claim{}, "too many"},
		{"long link", "goldsmith.interface=abcdefghijklmnop", identity.Claim{}, "not the name of a link"},
		{"a secret", "goldsmith.cluster=0123456789abcdef", identity.Claim{}, "every user reads it"},
		{"prefix with a slash", "goldsmith.prefix=a/b", identity.Claim{}, "may not stand"},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, parseCmdline("s", kernelWords(c.line)), c.want, c.fault) })
	}
	if d := parseCmdline("s", kernelWords("goldsmith=off mygoldsmith.hostname=x quiet")); d != nil {
		t.Errorf("a command line without our parameters answers: %+v", d)
	}
}

func TestParseMetaData(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       identity.Claim
		fault      string
	}{
		{"usual", "instance-id: iid-1\nlocal-hostname: c1\n", identity.Claim{Instance: "iid-1", Hostname: "c1"}, ""},
		{"CRLF, BOM, mark, comments", "\ufeff---\r\n# x\r\ninstance-id: i1 # y\r\n\r\nlocal-hostname:   c1\r\n", identity.Claim{Instance: "i1", Hostname: "c1"}, ""},
		{"quotes", "instance-id: 'i''1'\nlocal-hostname: \"c1\" # z\n", identity.Claim{Instance: "i'1", Hostname: "c1"}, ""},
		{"quoted key", "\"local-hostname\": c1\n", identity.Claim{Hostname: "c1"}, ""},
		{"others are skipped", "public-keys:\n  - ssh-rsa AAAA\nnetwork-interfaces: |\n  auto eth0\n  local-hostname: no\nlocal-hostname: yes1\n- x\n", identity.Claim{Hostname: "yes1"}, ""},
		{"our own keys", "local-hostname: c1\ngoldsmith.interface: br-ex\ngoldsmith.peer.c2: 10.0.0.2\n",
			identity.Claim{Hostname: "c1", Interface: "br-ex", Peers: map[string]netip.Addr{"c2": netip.MustParseAddr("10.0.0.2")}}, ""},
		{"JSON", ` {"instance-id": "i1", "local-hostname": "c1", "x": {"y": [1]}}`, identity.Claim{Instance: "i1", Hostname: "c1"}, ""},
		{"last line without end", "local-hostname: c1", identity.Claim{Hostname: "c1"}, ""},
		{"JSON with a number", `{"instance-id": 7}`, identity.Claim{}, "instance-id of s: want a plain text"},
		{"JSON broken", `{"instance-id": "7"`, identity.Claim{}, "not JSON"},
		{"twice", "local-hostname: a\nlocal-hostname: b\n", identity.Claim{}, "twice"},
		{"no value", "local-hostname:\n", identity.Claim{}, "no value"},
		{"block", "local-hostname: |\n  c1\n", identity.Claim{}, "want a text on one line"},
		{"list", "local-hostname: [a]\n", identity.Claim{}, "want a text on one line"},
		{"continued", "local-hostname: c1\n  c2\n", identity.Claim{}, "goes on"},
		{"escape", `local-hostname: "c\x31"`, identity.Claim{}, "escapes"},
		{"open quote", "local-hostname: 'c1\n", identity.Claim{}, "do not close"},
		{"text after quote", "local-hostname: 'c1' x\n", identity.Claim{}, "do not close"},
		{"mapping", "local-hostname: a: b\n", identity.Claim{}, "want a text on one line"},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, parseMetaData("s", []byte(c.text)), c.want, c.fault) })
	}
}

func TestParseContext(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       identity.Claim
		fault      string
	}{
		{"as OpenNebula writes it", "# Context variables generated by OpenNebula\nDISK_ID='1'\nETH0_IP='10.0.0.7'\nSET_HOSTNAME='c7.example.org'\nSTART_SCRIPT='echo '\\''hi'\\''\nSET_HOSTNAME='\\''no'\\''\npoweroff'\nTARGET='hda'\nVMID='42'\n",
			identity.Claim{Hostname: "c7.example.org", Instance: "one-42"}, ""},
		{"double quotes", "SET_HOSTNAME=\"c7\"\nGOLDSMITH_INTERFACE=br-ex # x\nexport GOLDSMITH_PEER_NET_NODE='10.0.0.2'",
			identity.Claim{Hostname: "c7", Interface: "br-ex", Peers: map[string]netip.Addr{"net-node": netip.MustParseAddr("10.0.0.2")}}, ""},
		{"HOSTNAME alone", "HOSTNAME='h1'\n", identity.Claim{Hostname: "h1"}, ""},
		{"SET_HOSTNAME wins", "HOSTNAME='h1'\nSET_HOSTNAME='s1'\n", identity.Claim{Hostname: "s1"}, ""},
		{"empty is not there", "SET_HOSTNAME=''\nHOSTNAME='h1'\n", identity.Claim{Hostname: "h1"}, ""},
		{"nothing for us", "DISK_ID='1'\n", identity.Claim{}, ""},
		{"command", "SET_HOSTNAME='a'\nreboot\n", identity.Claim{}, "line 2: not an assignment"},
		{"substitution", "SET_HOSTNAME=$(hostname)\n", identity.Claim{}, "would be executed"},
		{"substitution in quotes", "SET_HOSTNAME=\"`id`\"\n", identity.Claim{}, "would be executed"},
		{"second command", "SET_HOSTNAME='a';reboot\n", identity.Claim{}, "would be executed"},
		{"open quote", "A='b\nc\n", identity.Claim{}, "not closed"},
		{"bad name", "SET_HOSTNAME='a b'\n", identity.Claim{}, "hostname of s"},
		{"unknown of ours", "GOLDSMITH_COLOUR='x'\n", identity.Claim{}, "no such field"},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, parseContext("s", c.text), c.want, c.fault) })
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       identity.Claim
		fault      string
	}{
		{"all", `{"hostname":"c1","instance":"i","interface":"eth0","prefix":"p","peers":{"c2":"10.0.0.2"},"phone_home":"http://h/"}`,
			identity.Claim{Hostname: "c1", Instance: "i", Interface: "eth0", Prefix: "p", PhoneHome: "http://h/",
				Peers: map[string]netip.Addr{"c2": netip.MustParseAddr("10.0.0.2")}}, ""},
		{"empty object", "{}\n", identity.Claim{}, ""},
		{"a cluster", `{"cluster":"0123456789abcdef"}`, identity.Claim{Cluster: "0123456789abcdef"}, ""},
		{"a secret that is guessed", `{"cluster":"east"}`, identity.Claim{}, "cluster of s: want 16 to 128 characters, not 4"},
		{"a secret with a blank", `{"cluster":"0123456789 abcdef"}`, identity.Claim{}, "without blanks"},
		{"twice", `{"hostname":"a","hostname":"b"}`, identity.Claim{}, "stands twice"},
		{"case matters", `{"Hostname":"a"}`, identity.Claim{}, "no such field"},
		{"trailing", `{"hostname":"a"} {}`, identity.Claim{}, "something follows"},
		{"null", `{"hostname":null}`, identity.Claim{}, "want a text"},
		{"peers are an object", `{"peers":["a"]}`, identity.Claim{}, "peers of s: not a JSON object"},
		{"breaks off", `{"hostname":"a"`, identity.Claim{}, "not JSON"},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, decode("s", []byte(c.text)), c.want, c.fault) })
	}
}

// A token in a URL that is wrong must not reach the log.
func TestWrongURLIsNotRepeated(t *testing.T) {
	d := decode("s", []byte(`{"phone_home":"http://user:s3cret@ho st/"}`))
	if len(d.errs) != 1 || strings.Contains(d.errs[0].Error(), "s3cret") {
		t.Errorf("errors: %v", d.errs)
	}
}

func FuzzCmdline(f *testing.F) {
	f.Add(`a goldsmith.hostname=c1 "goldsmith.prefix=x`)
	f.Fuzz(func(t *testing.T, line string) { sane(t, parseCmdline("s", kernelWords(line))) })
}

func FuzzMetaData(f *testing.F) {
	f.Add("instance-id: i1\nlocal-hostname: 'c1'\n  x\n")
	f.Add(`{"instance-id": "i1"}`)
	f.Fuzz(func(t *testing.T, text string) { sane(t, parseMetaData("s", []byte(text))) })
}

func FuzzContext(f *testing.F) {
	f.Add("# x\nA='b'\\''c'\nSET_HOSTNAME=\"c1\"\n")
	f.Fuzz(func(t *testing.T, text string) { sane(t, parseContext("s", text)) })
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"hostname":"c1","peers":{"a":"::1"}}`)
	f.Fuzz(func(t *testing.T, text string) { sane(t, decode("s", []byte(text))) })
}

func FuzzSMBIOS(f *testing.F) {
	f.Add(oemTable(`io.systemd.credential:goldsmith.identity={"hostname":"c1"}`))
	f.Fuzz(func(t *testing.T, table []byte) { sane(t, fromSMBIOS(table)) })
}

// sane: whatever came in, a claim without errors can be used as it stands.
func sane(t *testing.T, d *draft) {
	t.Helper()
	if d == nil || len(d.errs) > 0 {
		return
	}
	if h := d.claim.Hostname; h != "" && checkHostname(h) != nil {
		t.Errorf("host name %q", h)
	}
	for _, v := range []string{d.claim.Instance, d.claim.Interface, d.claim.Prefix, d.claim.PhoneHome} {
		if strings.ContainsAny(v, " \n\x00") {
			t.Errorf("value %q", v)
		}
	}
}
