package ifcfg_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/ifcfg"
	"goldsmith/firstboot/text/texttest"
)

const (
	golden = "00:50:56:8a:01:02"
	clone  = "52:54:00:12:34:56"
)

func TestBridgeMAC(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"packstack's", `OVS_EXTRA="set bridge br-ex other-config:hwaddr=` + golden + ` fail_mode=standalone"`, golden},
		{"capitals", `OVS_EXTRA="set bridge br-ex other-config:hwaddr=00:50:56:8A:01:02"`, golden},
		{"underscore and case", `OVS_EXTRA='set Bridge br-ex Other_Config:hwaddr=` + golden + `'`, golden},
		{"several commands", `OVS_EXTRA="set port br-ex tag=7 -- --if-exists set bridge br-ex stp_enable=true other_config:hwaddr=` + golden +
			` -- set bridge br-int other-config:hwaddr=11:11:11:11:11:11"`, golden},
		{"the last counts", `OVS_EXTRA="set bridge br-ex other-config:hwaddr=11:11:11:11:11:11 -- set bridge br-ex other_config:hwaddr=` + golden + `"`, golden},
		{"quoted for ovs-vsctl", `OVS_EXTRA="set bridge br-ex other-config:hwaddr=\"` + golden + `\""`, golden},
		{"quoted inside single quotes", `OVS_EXTRA='set bridge br-ex other-config:hwaddr="` + golden + `"'`, golden},
		{"$DEVICE", "DEVICE=br-ex\nOVS_EXTRA=\"set bridge $DEVICE other-config:hwaddr=" + golden + `"`, golden},
		{"${DEVICE}", "OVS_EXTRA=\"set bridge ${DEVICE} other-config:hwaddr=" + golden + "\"\nDEVICE=br-ex", golden},
		{"over lines", "OVS_EXTRA=\"set bridge br-ex fail_mode=standalone \\\n  other-config:hwaddr=" + golden + ` "`, golden},
		{"an expansion elsewhere", `OVS_EXTRA="set bridge br-ex external-ids:x=$X other-config:hwaddr=` + golden + `"`, golden},
		{"another bridge", `OVS_EXTRA="set bridge br-ex2 other-config:hwaddr=` + golden + `"`, ""},
		{"another column", `OVS_EXTRA="set bridge br-ex other-config:hwaddrs=` + golden + `"`, ""},
		{"another table", `OVS_EXTRA="set port br-ex other-config:hwaddr=` + golden + `"`, ""},
		{"another command", `OVS_EXTRA="remove bridge br-ex other-config:hwaddr=` + golden + `"`, ""},
		{"a comment", `#OVS_EXTRA="set bridge br-ex other-config:hwaddr=` + golden + `"`, ""},
		{"overridden", `OVS_EXTRA="set bridge br-ex other-config:hwaddr=` + golden + "\"\nOVS_EXTRA=", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok, err := ifcfg.BridgeMAC([]byte(tc.in), "br-ex")
			if got != tc.want || ok != (tc.want != "") || err != nil {
				t.Fatalf("%q, %v, %v; want %q", got, ok, err, tc.want)
			}
			out, err := ifcfg.SetBridgeMAC([]byte(tc.in), "br-ex", clone)
			if tc.want == "" {
				if !errors.Is(err, text.ErrNoKey) {
					t.Errorf("set: %q, %v; want %v", out, err, text.ErrNoKey)
				}
				return
			}
			want := strings.NewReplacer(golden, clone, strings.ToUpper(golden), clone).Replace(tc.in)
			if diff := cmp.Diff(want, string(out)); diff != "" || err != nil {
				t.Error(err, diff)
			}
			same, err := ifcfg.SetBridgeMAC([]byte(tc.in), "br-ex", golden)
			if diff := cmp.Diff(tc.in, string(same)); diff != "" || err != nil {
				t.Error("the same MAC in another case:", err, diff)
			}
		})
	}
}

func TestBridgeMACThatCannotBeRead(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"from a variable", `OVS_EXTRA="set bridge br-ex other-config:hwaddr=$MACADDR"`, "shell expansion"},
		{"from a command", `OVS_EXTRA="set bridge br-ex other-config:hwaddr=$(cat /sys/class/net/ens3/address)"`, "shell expansion"},
		{"half quoted", `OVS_EXTRA="set bridge br-ex other-config:hwaddr='` + golden + `'"`, "quoted or escaped"},
		{"on a condition", `[ -e /x ] && OVS_EXTRA="set bridge br-ex other-config:hwaddr=` + golden + `"`, "condition"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, _, err := ifcfg.BridgeMAC([]byte(tc.in), "br-ex"); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("read: %v, want %q", err, tc.want)
			}
			if out, err := ifcfg.SetBridgeMAC([]byte(tc.in), "br-ex", clone); err == nil {
				t.Errorf("became %q", out)
			}
		})
	}
}

func TestVariables(t *testing.T) {
	in := "DEVICE=\"ens3\"\nHWADDR=00:50:56:8A:01:02\n"
	if got, ok, err := ifcfg.Codec.Get([]byte(in), "HWADDR"); got != golden || !ok || err != nil {
		t.Errorf("%q, %v, %v", got, ok, err)
	}
	for _, tc := range []struct{ name, key, value, want string }{
		{"quotes stay", "DEVICE", "eth0", "DEVICE=\"eth0\"\nHWADDR=00:50:56:8A:01:02\n"},
		{"the same MAC", "HWADDR", golden, in},
		{"another MAC", "HWADDR", clone, "DEVICE=\"ens3\"\nHWADDR=" + clone + "\n"},
		{"a new variable", "MACADDR", clone, in + "MACADDR=" + clone + "\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, err := ifcfg.Codec.Set([]byte(in), tc.key, tc.value)
			if diff := cmp.Diff(tc.want, string(out)); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
	if out, err := ifcfg.Codec.Delete([]byte(in), "HWADDR"); string(out) != "DEVICE=\"ens3\"\n" || err != nil {
		t.Errorf("deleted: %q, %v", out, err)
	}
}

func TestRefusedKeysAndValues(t *testing.T) {
	in := []byte(`OVS_EXTRA="set bridge br-ex other-config:hwaddr=` + golden + "\"\nHWADDR=" + golden + "\n")
	for _, key := range []string{"", "OVS_EXTRA", "OVS_EXTRA bridge br-ex", "OVS_EXTRA  bridge br-ex x", "A B", "A-B"} {
		if out, err := ifcfg.Codec.Set(in, key, clone); err == nil {
			t.Errorf("key %q made %q", key, out)
		}
	}
	for _, mac := range []string{"", "52:54:00:12:34:56 x", strings.ToUpper("52:54:00:aa:bb:cc"), "$MAC", `a"`} {
		if out, err := ifcfg.SetBridgeMAC(in, "br-ex", mac); err == nil {
			t.Errorf("MAC %q made %q", mac, out)
		}
	}
	if out, err := ifcfg.Codec.Set(in, "HWADDR", "AA:BB:CC:DD:EE:FF"); err == nil {
		t.Errorf("a MAC in capitals made %q", out)
	}
}

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("../shellvar/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPackstackFile(t *testing.T) {
	in := read(t, "ifcfg-br-ex")
	out, err := ifcfg.SetBridgeMAC([]byte(in), "br-ex", clone)
	if err != nil {
		t.Fatal(err)
	}
	if out, err = ifcfg.Codec.Set(out, "MACADDR", clone); err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer(golden, clone, "00:50:56:8A:01:02", clone).Replace(in)
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Error(diff)
	}
}

func samples(t testing.TB) []string {
	return []string{read(t, "ifcfg-br-ex"), read(t, "ifcfg-ens192"), strings.ReplaceAll(read(t, "ifcfg-br-ex"), "\n", "\r\n"),
		"DEVICE=br-ex\nOVS_EXTRA='set bridge $DEVICE a:b=\"c\" -- set port x tag=7 -- --id=@x create y z=1'\nA=$B",
		`OVS_EXTRA="set bridge br-ex other-config:hwaddr=\"00:50:56:8A:01:02\" b=$C"`}
}

func TestLaws(t *testing.T) { texttest.Laws(t, ifcfg.Codec, samples(t)...) }

func FuzzLaws(f *testing.F) { texttest.FuzzLaws(f, ifcfg.Codec, samples(f)...) }
