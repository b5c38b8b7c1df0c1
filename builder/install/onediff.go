package install

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"

	linediff "github.com/rogpeppe/go-internal/diff"

	"goldsmith/builder/recipe"
	"goldsmith/builder/tree"
)

// contents keeps what the edited files hold now; one that is not there is nil.
func contents(root *tree.FS, edits []Edit) map[string][]byte {
	out := map[string][]byte{}
	for _, e := range edits {
		if _, done := out[e.Path]; done || e.Link != "" {
			continue
		}
		data, err := root.ReadFile(e.Path)
		if err != nil {
			data = nil
		}
		out[e.Path] = data
	}
	return out
}

// passwordValue is what oned.conf holds of a password.
var passwordValue = regexp.MustCompile(`(?i)(\bPASSWD\s*=\s*")[^"]*`)

// writeDiffs shows in the log what edits have changed in files that were there, line by line, without passwords.
func writeDiffs(root *tree.FS, before map[string][]byte, log io.Writer) error {
	mask := func(data []byte) []byte { return passwordValue.ReplaceAll(data, []byte("${1}********")) }
	for _, path := range slices.Sorted(maps.Keys(before)) {
		now, err := root.ReadFile(path)
		if before[path] == nil || err != nil {
			continue
		}
		if _, err := log.Write(linediff.Diff("a"+path, mask(before[path]), "b"+path, mask(now))); err != nil {
			return err
		}
	}
	return nil
}

// stagingDefault is where the plugin's scripts put downloaded images unless STAGING_DIR names another place.
const stagingDefault = "/var/tmp"

// checkStaging wants the staging directory, which the plugin does not make.
func checkStaging(root *tree.FS, v *recipe.Vitastor) error {
	if v.Pool == "" {
		return nil
	}
	dir := orElse(v.StagingDir, stagingDefault)
	if st, err := root.Stat(dir); err != nil || !st.IsDir() {
		return fmt.Errorf("staging_dir %s is no directory of the image\nhint: make it in an earlier step: install -d -m 1777 %[1]s", dir)
	}
	return nil
}

// stagingEdits look for room in the staging directory whenever oned starts: a clone's disks are others than those of the bake. Oned
// starts all the same, for it does more than to import images; the journal names the lack.
func stagingEdits(v *recipe.Vitastor) []Edit {
	if v.Pool == "" || v.StagingRoom == 0 {
		return nil
	}
	dir := orElse(v.StagingDir, stagingDefault)
	text := fmt.Sprintf("[Service]\nExecStartPre=-/bin/sh -c 'free=$$(df --output=avail --block-size=1 %s | tail -n 1); [ \"$$free\" -ge %d ] || "+
		"echo \"STAGING_DIR %[1]s has $$free bytes free, images need %[2]d\"'\n", dir, int64(v.StagingRoom))
	return []Edit{{Name: "room for staging", Path: "/etc/systemd/system/opennebula.service.d/staging.conf", Create: 0o644, Change: whole(text)}}
}
