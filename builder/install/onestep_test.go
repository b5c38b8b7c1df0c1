package install

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/recipe"
)

func TestOpenNebulaStep(t *testing.T) {
	root := plugged(t)
	stock := "../../firstboot/text/oned/testdata/6.10.5/"
	put(t, root, onedConf, read(t, stock+"oned.conf"), 0o640)
	put(t, root, kvmConf, read(t, stock+"vmm_exec_kvm.conf"), 0o644)
	put(t, root, execRC, read(t, "testdata/one-6.10.5/vmm_execrc"), 0o644)
	put(t, root, downloader, read(t, "testdata/one-6.10.5/downloader.sh"), 0o755)
	put(t, root, pluginDiff, diff, 0o644)
	step := recipe.OpenNebula{Tuning: true, Vitastor: &recipe.Vitastor{SaveRestore: true}, Lockdown: &recipe.Lockdown{Bridge: "onebr0",
		Guests: []netip.Prefix{netip.MustParsePrefix("10.0.3.0/24")}, Storage: []netip.Prefix{netip.MustParsePrefix("10.0.2.0/24")}}}
	var log strings.Builder
	units, err := adjustOpenNebula(root, step, &log)
	if d := cmp.Diff([]string{"storage-lockdown.service"}, units); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	for _, say := range []string{"changed       TM_MAD -d", "changed       KVM default DISK/IO", "not needed    AppArmor", "changed       storage lock-down: rules"} {
		if !strings.Contains(log.String(), say) {
			t.Errorf("the log lacks %q:\n%s", say, log.String())
		}
	}
	rm(t, root, remotes+"/tm/vitastor/mvds")
	if _, err := adjustOpenNebula(root, step, &log); err == nil || !strings.Contains(err.Error(), "mvds") {
		t.Errorf("a broken plugin: %v", err)
	}
	rm(t, root, pluginDiff)
	if _, err := adjustOpenNebula(root, step, &log); err == nil || !strings.Contains(err.Error(), "hint: install") {
		t.Errorf("no plugin: %v", err)
	}
}

func TestOpenNebulaStepLacks(t *testing.T) {
	r := &recipe.Recipe{}
	got := Lacks(r, recipe.Step{OpenNebula: &recipe.OpenNebula{Vitastor: &recipe.Vitastor{}, Lockdown: &recipe.Lockdown{Bridge: "a b"}}})
	want := []string{`"a b" is no name of a bridge`, "the guests' and the storage's networks must be named",
		"vitastor needs the package vitastor-opennebula", "lockdown needs the package nftables"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	r.Packages = []string{"vitastor-opennebula"}
	if got := Lacks(r, recipe.Step{OpenNebula: &recipe.OpenNebula{Vitastor: &recipe.Vitastor{}}}); got != nil {
		t.Errorf("lacks %v", got)
	}
}
