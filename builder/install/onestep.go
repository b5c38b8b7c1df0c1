package install

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"goldsmith/builder/recipe"
	"goldsmith/builder/tree"
)

// adjustOpenNebula does a recipe's opennebula step: it makes the edits, writes a line for each to log, and returns the units that
// are to be enabled.
func adjustOpenNebula(root *tree.FS, o recipe.OpenNebula, log io.Writer) (units []string, err error) {
	var edits []Edit
	if o.Tuning {
		edits = append(edits, KVMTuningEdits()...)
	}
	if o.Vitastor != nil {
		patch, err := PluginDiff(root)
		if err != nil {
			return nil, err
		}
		plugin, err := VitastorEdits(VitastorOptions{SaveRestore: o.Vitastor.SaveRestore, Confs: o.Vitastor.Confs}, patch)
		if err != nil {
			return nil, err
		}
		edits = append(edits, plugin...)
	}
	if o.Lockdown != nil {
		rules, err := LockdownEdits(Lockdown(*o.Lockdown))
		if err != nil {
			return nil, err
		}
		edits, units = append(edits, rules...), []string{"storage-lockdown.service"}
	}
	results, err := Apply(root, edits)
	for _, r := range results {
		if _, werr := fmt.Fprintln(log, r); werr != nil {
			err = errors.Join(err, werr)
		}
	}
	if err == nil && o.Vitastor != nil {
		err = CheckVitastor(root)
	}
	return units, err
}

// lacksOpenNebula says what an opennebula step needs and the recipe lacks.
func lacksOpenNebula(r *recipe.Recipe, o recipe.OpenNebula) []string {
	var out []string
	if o.Lockdown != nil {
		if err := Lockdown(*o.Lockdown).Check(); err != nil {
			out = append(out, strings.Split(err.Error(), "\n")...)
		}
	}
	packages := map[string]bool{}
	for _, p := range r.AllPackages() {
		packages[p] = true
	}
	if o.Vitastor != nil && !packages["vitastor-opennebula"] && r.Base.Image == "" {
		out = append(out, "vitastor needs the package vitastor-opennebula")
	}
	if o.Lockdown != nil && !packages["nftables"] && r.Base.Image == "" {
		out = append(out, "lockdown needs the package nftables")
	}
	return out
}
