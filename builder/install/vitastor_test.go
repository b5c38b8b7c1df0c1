package install

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/text/oned"
	"goldsmith/firstboot/text/shellvar"
)

var releases = []string{"5.8.5", "5.12.13", "6.10.5", "7.0.2"}

// The form of the plugin's own patch: one hunk per addition, with context.
const diff = `diff --git a/downloader.sh b/downloader.sh
--- a/downloader.sh
+++ b/downloader.sh
@@ -295,6 +295,10 @@ function get_rbd_cmd
     echo "context"
 }
 
+function get_vitastor_cmd
+{
+    echo "vitastor-cli dd iimg='$1'"
+}
+
 # Compare 2 version strings using sort -V
@@ -424,6 +463,9 @@ s3://*)
     ;;
+vitastor://*)
+    command="$(get_vitastor_cmd "$FROM")"
+    ;;
 vcenter://*)
`

// stockMachine is a tree with OpenNebula's stock files of a release and the plugin's scripts.
func stockMachine(t *testing.T, release string) *tree.FS {
	t.Helper()
	root := opened(t)
	put(t, root, onedConf, read(t, "../../firstboot/text/oned/testdata/"+release+"/oned.conf"), 0o640)
	put(t, root, execRC, read(t, "testdata/one-"+release+"/vmm_execrc"), 0o644)
	put(t, root, downloader, read(t, "testdata/one-"+release+"/downloader.sh"), 0o755)
	put(t, root, remotes+"/tm/vitastor/clone", "#!/bin/bash\n", 0o755)
	put(t, root, pluginDiff, diff, 0o644)
	put(t, root, "/etc/apparmor.d/abstractions/libvirt-qemu", "", 0o644)
	return root
}

func opened(t *testing.T) *tree.FS {
	t.Helper()
	root, err := tree.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func put(t *testing.T, root *tree.FS, name, data string, mode os.FileMode) {
	t.Helper()
	if err := errors.Join(root.MkdirAll(filepath.Dir(name), 0o755), root.WriteFile(name, []byte(data), mode)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func content(t *testing.T, root *tree.FS, name string) string {
	t.Helper()
	b, err := root.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func states(results []Result) map[State]int {
	n := map[State]int{}
	for _, r := range results {
		n[r.State]++
	}
	return n
}

func vitastor(t *testing.T, root *tree.FS, opt VitastorOptions) ([]Result, error) {
	t.Helper()
	patch, err := PluginDiff(root)
	if err != nil {
		t.Fatal(err)
	}
	edits, err := VitastorEdits(opt, patch)
	if err != nil {
		t.Fatal(err)
	}
	return Apply(root, edits)
}

// diffLines returns the lines of after that are not in before, and the number of lines that went.
func diffLines(before, after string) (came []string, went int) {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	seen := map[string]int{}
	for _, l := range a {
		seen[l]++
	}
	for _, l := range b {
		if seen[l]--; seen[l] < 0 {
			came = append(came, l)
		}
	}
	for _, n := range seen {
		went += max(0, n)
	}
	return came, went
}

func TestVitastorOnEveryRelease(t *testing.T) {
	for _, release := range releases {
		t.Run(release, func(t *testing.T) {
			root := stockMachine(t, release)
			before := map[string]string{}
			for _, f := range []string{onedConf, execRC, downloader} {
				before[f] = content(t, root, f)
			}
			if err := root.Chown(onedConf, 0, 9869); err != nil {
				t.Fatal(err)
			}
			results, err := vitastor(t, root, VitastorOptions{SaveRestore: true})
			if err != nil || states(results)[Changed] != len(results)-1 {
				t.Fatalf("first run: %v\n%v", err, results)
			}
			st, err := root.Stat(onedConf)
			if err != nil || st.Mode() != 0o640 {
				t.Errorf("oned.conf is now %v, %v", st.Mode(), err)
			}
			intended(t, before[onedConf], content(t, root, onedConf))
			if _, went := diffLines(before[onedConf], content(t, root, onedConf)); went != 3 {
				t.Errorf("%d lines of oned.conf changed, want those of VM_MAD, TM_MAD and DATASTORE_MAD", went)
			}
			if _, went := diffLines(before[downloader], content(t, root, downloader)); went != 0 {
				t.Errorf("%d lines of downloader.sh went", went)
			}
			script := exec.Command("bash", "-n")
			script.Stdin = strings.NewReader(content(t, root, downloader))
			if out, err := script.CombinedOutput(); err != nil {
				t.Errorf("downloader.sh: %v %s", err, out)
			}
			if came, went := diffLines(before[execRC], content(t, root, execRC)); went != 1 || len(came) != 1 ||
				!strings.HasSuffix(came[0], ` kvm-vitastor"`) {
				t.Errorf("vmm_execrc: %q came, %d lines went", came, went)
			}
			if got := content(t, root, apparmor); got != "  \"/etc/vitastor/vitastor.conf\" r,\n" {
				t.Errorf("AppArmor: %q", got)
			}
			golden(t, release, root, before)
			again(t, root)
		})
	}
}

var update = flag.Bool("update", false, "write the golden diffs")

// golden compares the diffs of the files with the recorded ones, so that an edit that grows is seen.
func golden(t *testing.T, release string, root *tree.FS, before map[string]string) {
	t.Helper()
	files := map[string][]byte{}
	for name, data := range before {
		files[name] = []byte(data)
	}
	var got bytes.Buffer
	if err := writeDiffs(root, files, &got); err != nil {
		t.Fatal(err)
	}
	name := "testdata/vitastor-" + release + ".diff"
	if *update {
		if err := os.WriteFile(name, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(read(t, name), got.String()); d != "" {
		t.Errorf("%s is not what the edits made (go test -update writes it): %s", name, d)
	}
}

// The page shows a recorded diff; this is what keeps it true.
func TestDocsShowTheDiff(t *testing.T) {
	page := read(t, "../../docs/seeds-opennebula.md")
	_, rest, _ := strings.Cut(page, "```diff\n")
	shown, _, ok := strings.Cut(rest, "```")
	if !ok || shown != read(t, "testdata/vitastor-6.10.5.diff") {
		t.Error("the diff in docs/seeds-opennebula.md is not the one in testdata/vitastor-6.10.5.diff")
	}
}

// again: a second run finds all there and writes nothing.
func again(t *testing.T, root *tree.FS) {
	t.Helper()
	before := content(t, root, onedConf) + content(t, root, execRC) + content(t, root, downloader) + content(t, root, apparmor)
	results, err := vitastor(t, root, VitastorOptions{SaveRestore: true})
	if err != nil || states(results)[Already] != len(results) {
		t.Errorf("second run: %v\n%v", err, results)
	}
	if before != content(t, root, onedConf)+content(t, root, execRC)+content(t, root, downloader)+content(t, root, apparmor) {
		t.Error("the second run changed a file")
	}
}

// intended compares what oned reads before and after: exactly the plugin's settings came.
func intended(t *testing.T, before, after string) {
	t.Helper()
	want := readAll(t, before)
	inherit := 0
	for k := range want {
		if strings.HasPrefix(k, "INHERIT_DATASTORE_ATTR[") {
			inherit++
		}
	}
	want["VM_MAD[NAME=kvm]/ARGUMENTS"] += " -l deploy=deploy.vitastor,save=save.vitastor,restore=restore.vitastor"
	want["TM_MAD/ARGUMENTS"] += ",vitastor"
	ds := want["DATASTORE_MAD/ARGUMENTS"]
	want["DATASTORE_MAD/ARGUMENTS"] = strings.Replace(ds, " -s ", ",vitastor -s ", 1) + ",vitastor"
	want[fmt.Sprintf("INHERIT_DATASTORE_ATTR[%d]", inherit+1)] = "VITASTOR_CONF"
	want[fmt.Sprintf("INHERIT_DATASTORE_ATTR[%d]", inherit+2)] = "IMAGE_PREFIX"
	for _, v := range []string{tmMadConf, dsMadConf} {
		f, err := oned.Parse([]byte(v))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range f.Attrs[0].Pairs {
			want[f.Attrs[0].Name+"[NAME=vitastor]/"+p.Name] = p.Value
		}
	}
	if diff := cmp.Diff(want, readAll(t, after)); diff != "" {
		t.Error(diff)
	}
	for _, f := range oned.Lint([]byte(after)) {
		if !strings.Contains(f.What, "TM_MAD_SYSTEM stands twice") { // 5.8's own
			t.Error(f)
		}
	}
}

func readAll(t *testing.T, data string) map[string]string {
	t.Helper()
	list, err := oned.Codec().List([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for _, e := range list {
		m[e.Key] = e.Value
	}
	return m
}

// What a real oned 6.10.5 printed of its configuration after the vendor's installer had run.
func TestListsEqualTheVendorsResult(t *testing.T) {
	root := stockMachine(t, "6.10.5")
	if _, err := vitastor(t, root, VitastorOptions{}); err != nil {
		t.Fatal(err)
	}
	got := readAll(t, content(t, root, onedConf))
	for key, want := range map[string]string{
		"DATASTORE_MAD/ARGUMENTS":    "-t 15 -d dummy,fs,lvm,ceph,dev,iscsi_libvirt,vcenter,restic,rsync,vitastor -s shared,ssh,ceph,fs_lvm,fs_lvm_ssh,qcow2,vcenter,vitastor",
		"TM_MAD/ARGUMENTS":           "-t 15 -d dummy,lvm,shared,fs_lvm,fs_lvm_ssh,qcow2,ssh,ceph,dev,vcenter,iscsi_libvirt,vitastor",
		"VM_MAD[NAME=kvm]/ARGUMENTS": "-t 15 -r 0 kvm -p -l deploy=deploy.vitastor",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
}

func TestWhatCannotBeDoneIsSaid(t *testing.T) {
	edit := func(file, old, new string) func(*testing.T, *tree.FS) {
		return func(t *testing.T, root *tree.FS) {
			was := content(t, root, file)
			now := strings.Replace(was, old, new, 1)
			if was == now {
				t.Fatalf("%s has no %q", file, old)
			}
			put(t, root, file, now, 0o640)
		}
	}
	for name, tc := range map[string]struct {
		spoil func(*testing.T, *tree.FS)
		file  string
		name  string
		state State
		say   string
	}{
		"deploy runs another script":   {edit(onedConf, `kvm -p"`, `kvm -p -l deploy=mine"`), onedConf, "VM_MAD kvm: deploy", Impossible, "already overridden"},
		"no kvm driver":                {edit(onedConf, `NAME           = "kvm"`, `NAME = "xen"`), onedConf, "VM_MAD kvm: deploy", Impossible, "no such key"},
		"the rest of that file waits":  {edit(onedConf, `kvm -p"`, `kvm -p -l deploy=mine"`), onedConf, "TM_MAD -d", HeldBack, "another edit"},
		"oned.conf does not parse":     {edit(onedConf, `NAME           = "kvm",`, `NAME = "kvm"`), onedConf, "TM_MAD -d", Impossible, "syntax error at line 482"},
		"vector with other values":     {edit(onedConf, `NAME = "ceph", LN_TARGET`, `NAME = "vitastor", LN_TARGET`), onedConf, "TM_MAD_CONF vitastor", Already, `ALLOW_ORPHANS is "mixed" instead of "format"`},
		"every driver is served":       {edit(onedConf, ` -d dummy,lvm,shared,fs_lvm,fs_lvm_ssh,qcow2,ssh,ceph,dev,vcenter,iscsi_libvirt`, ``), onedConf, "TM_MAD -d", Already, "every installed driver"},
		"no anchor for the function":   {edit(downloader, "function get_rbd_cmd", "get_rbd_cmd()"), downloader, "downloader.sh: function", Impossible, "found 0 places"},
		"so no branch without it":      {edit(downloader, "function get_rbd_cmd", "get_rbd_cmd()"), downloader, "downloader.sh: vitastor:// URLs", HeldBack, ""},
		"no list of snapshot drivers":  {edit(execRC, "LIVE_DISK_SNAPSHOTS=", "X="), execRC, "live disk snapshots", Impossible, "no line LIVE_DISK_SNAPSHOTS"},
		"no AppArmor":                  {func(t *testing.T, r *tree.FS) { rm(t, r, "/etc/apparmor.d") }, apparmor, "AppArmor: " + VitastorConf, NotNeeded, "no /etc/apparmor.d"},
		"the plugin is not installed":  {func(t *testing.T, r *tree.FS) { rm(t, r, remotes+"/tm/vitastor") }, remotes + "/tm/vitastor/clone", "the plugin's scripts", Impossible, "hint: install"},
		"OpenNebula is not installed":  {func(t *testing.T, r *tree.FS) { rm(t, r, onedConf) }, onedConf, "TM_MAD -d", Impossible, "no such file"},
		"half of the vendor's patch":   {edit(downloader, "function get_rbd_cmd", vitastorFunction+"\n{\n:\n}\n\nfunction get_rbd_cmd"), downloader, "downloader.sh: function", Already, ""},
		"gets its second half":         {edit(downloader, "function get_rbd_cmd", vitastorFunction+"\n{\n:\n}\n\nfunction get_rbd_cmd"), downloader, "downloader.sh: vitastor:// URLs", Changed, ""},
		"a system list by default":     {edit(onedConf, ` -s shared,ssh,ceph,fs_lvm,fs_lvm_ssh,qcow2,vcenter`, ``), onedConf, "DATASTORE_MAD -s", Changed, ""},
		"bracket in a quoted value":    {edit(onedConf, `SUNSTONE_NAME  = "KVM"`, `SUNSTONE_NAME = "KVM [x]"`), onedConf, "VM_MAD kvm: deploy", Changed, ""},
		"lower case is the same":       {edit(onedConf, "TM_MAD = [", "tm_mad = ["), onedConf, "TM_MAD -d", Changed, ""},
		"quotes of another kind":       {edit(execRC, `LIVE_DISK_SNAPSHOTS="kvm-qcow2 kvm-shared`, `LIVE_DISK_SNAPSHOTS='kvm-shared' # "`), execRC, "live disk snapshots", Changed, ""},
		"a list with a shell variable": {edit(execRC, `LIVE_DISK_SNAPSHOTS="`, `LIVE_DISK_SNAPSHOTS="$OTHERS `), execRC, "live disk snapshots", Impossible, "no line"},
	} {
		t.Run(name, func(t *testing.T) {
			root := stockMachine(t, "6.10.5")
			tc.spoil(t, root)
			before, _ := root.ReadFile(tc.file)
			results, err := vitastor(t, root, VitastorOptions{})
			i := slices.IndexFunc(results, func(r Result) bool { return r.Name == tc.name })
			if i < 0 || results[i].State != tc.state || !strings.Contains(results[i].Why, tc.say) {
				t.Errorf("results %v, want %s: %s", results, tc.state, tc.say)
			}
			if bad := states(results)[Impossible] > 0; bad != (err != nil) {
				t.Errorf("error %v", err)
			}
			after, _ := root.ReadFile(tc.file)
			if untouched := tc.state == Impossible || tc.state == HeldBack; untouched && string(before) != string(after) {
				t.Errorf("%s was written", tc.file)
			}
		})
	}
}

func rm(t *testing.T, root *tree.FS, name string) {
	t.Helper()
	if err := root.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
}

func TestPluginFromSource(t *testing.T) {
	root := stockMachine(t, "7.0.2")
	rm(t, root, remotes+"/tm")
	source := fstest.MapFS{
		"remotes/tm/vitastor/clone":     {Data: []byte("#!/bin/bash\n"), Mode: 0o755},
		"remotes/vmm/kvm/save.vitastor": {Data: []byte("#!/bin/bash\n"), Mode: 0o755},
		"remotes/tm/vitastor/x.diff":    {Data: []byte("+\n"), Mode: 0o644},
		"remotes/tm/vitastor/mv":        {Data: []byte("../ceph/mv"), Mode: os.ModeSymlink | 0o777},
		"sudoers.d/opennebula-vitastor": {Data: []byte("oneadmin ALL=(ALL) NOPASSWD: /usr/bin/vitastor-nbd\n")},
	}
	if _, err := vitastor(t, root, VitastorOptions{Source: source}); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{remotes + "/tm/vitastor/clone": 0o755,
		remotes + "/vmm/kvm/save.vitastor": 0o755, remotes + "/tm/vitastor/x.diff": 0o644, "/etc/sudoers.d/opennebula-vitastor": 0o440} {
		if st, err := root.Stat(name); err != nil || st.Mode() != mode {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
	if results, err := vitastor(t, root, VitastorOptions{Source: source}); err != nil || states(results)[Already] != len(results) {
		t.Errorf("again: %v %v", results, err)
	}
	if to, err := root.ReadLink(remotes + "/tm/vitastor/mv"); err != nil || to != "../ceph/mv" {
		t.Errorf("mv leads to %s, %v", to, err)
	}
	rm(t, root, remotes+"/tm/vitastor/mv")
	put(t, root, remotes+"/tm/vitastor/mv", "somebody's own", 0o755)
	if r, err := vitastor(t, root, VitastorOptions{Source: source}); err == nil || states(r)[Impossible] != 1 {
		t.Errorf("a file was taken for the link: %v %v", r, err)
	}
	if _, err := VitastorEdits(VitastorOptions{Source: fstest.MapFS{}}, nil); err == nil {
		t.Error("an empty source was taken")
	}
}

func TestAppArmorForEveryConf(t *testing.T) {
	root := stockMachine(t, "6.10.5")
	put(t, root, apparmor, "# local", 0o600)
	confs := []string{"/etc/vitastor/a.conf", "/etc/vitastor/b.conf", "/etc/vitastor/a.conf"}
	if _, err := vitastor(t, root, VitastorOptions{Confs: confs}); err != nil {
		t.Fatal(err)
	}
	want := "# local\n  \"/etc/vitastor/a.conf\" r,\n  \"/etc/vitastor/b.conf\" r,\n"
	if got := content(t, root, apparmor); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, bad := range []string{"relative", "/etc/x\" rw, \"/", "/etc/*"} {
		if _, err := allowRead(bad)(nil); err == nil {
			t.Errorf("a rule for %q", bad)
		}
	}
}

func TestPluginDiffMissing(t *testing.T) {
	if _, err := PluginDiff(opened(t)); err == nil || !strings.Contains(err.Error(), "hint: ") {
		t.Errorf("error %v", err)
	}
}

// A word that was added to a list of vmm_execrc is there as the shell reads it, once, and nothing else changed.
func FuzzAddToRC(f *testing.F) {
	const name, word = "LIVE_DISK_SNAPSHOTS", "kvm-vitastor"
	for _, release := range releases {
		b, err := os.ReadFile("testdata/one-" + release + "/vmm_execrc")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	for _, s := range []string{name + "='a $b `c`'\n", name + "=\n", name + "=a # b\n", "  " + name + "=\"\"", name + "=a\n" + name + "=b\n", name + "="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, err := addToRC(name, word)([]byte(in))
		if err != nil {
			return
		}
		if again, err := addToRC(name, word)(out); err != nil || string(again) != string(out) {
			t.Fatalf("%q becomes %q, and then %q, %v", in, out, again, err)
		}
		was, ok, err := shellvar.Codec.Get([]byte(in), name)
		if err != nil || !ok {
			return // for an installer's eyes this is no file of variables
		}
		got, _, err := shellvar.Codec.Get(out, name)
		if want := append(strings.Fields(was), word); err != nil || !slices.Contains(strings.Fields(was), word) && !slices.Equal(strings.Fields(got), want) {
			t.Fatalf("%q becomes %q: the list is %q, %v", in, out, got, err)
		}
		if came, went := diffLines(in, string(out)); len(came) > 1 || went > 1 {
			t.Fatalf("%q becomes %q: %d lines came, %d went", in, out, len(came), went)
		}
	})
}
