package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"goldsmith/builder/seal"
	"goldsmith/firstboot/rewriters"
	"goldsmith/recipes"
)

// seedTables are the pages that hold a row for everything that the five texts name.
var seedTables = []string{"seeds.md", "seeds-opennebula.md", "packstack.md", "ovirt.md"}

// TestSeedTablesAreComplete: no row has an empty cell, and a row that only says no says why.
func TestSeedTablesAreComplete(t *testing.T) {
	rows := 0
	for _, page := range seedTables {
		for n, line := range pageLines(t, page) {
			if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") {
				continue
			}
			rows++
			cells := strings.Split(strings.Trim(strings.ReplaceAll(line, `\|`, ""), "|"), "|")
			heading := cells[0] == " " // the corner of a table
			for _, c := range cells[1:] {
				if c = strings.Trim(c, " .:"); c == "" || strings.EqualFold(c, "no") && page == "seeds.md" {
					t.Errorf("%s:%d says nothing in a cell: %s", page, n+1, line)
				}
			}
			if strings.TrimSpace(cells[0]) == "" && !heading {
				t.Errorf("%s:%d names nothing: %s", page, n+1, line)
			}
		}
	}
	if rows < 250 {
		t.Errorf("only %d rows", rows)
	}
}

// TestSeedTablesNameWhatExists: every command and flag, recipe, rewriter, seal operation, driver and link.
func TestSeedTablesNameWhatExists(t *testing.T) {
	bundled, err := fs.Glob(recipes.FS, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string][]string{"driver": {"nspawn", "qemu", "libvirt"}, "seal operation": seal.Names(seal.All())}
	for _, f := range bundled {
		known["recipe"] = append(known["recipe"], strings.TrimSuffix(f, ".yaml"))
	}
	for _, r := range rewriters.All() {
		known["rewriter"] = append(known["rewriter"], r.Name)
	}
	word := regexp.MustCompile("(recipe|rewriter|seal operation|driver) `([^`]+)`")
	code := regexp.MustCompile("`goldsmith ([^`]+)`")
	link := regexp.MustCompile(`\]\(([a-z-]+\.md)(?:#[a-z-]+)?\)`)
	for _, page := range seedTables {
		for n, line := range pageLines(t, page) {
			for _, m := range word.FindAllStringSubmatch(line, -1) {
				if !slices.Contains(known[m[1]], m[2]) && (page == "seeds.md" || page == "ovirt.md") {
					t.Errorf("%s:%d: there is no %s %s", page, n+1, m[1], m[2])
				}
			}
			for _, m := range code.FindAllStringSubmatch(line, -1) {
				if why := unknownCommand(commands(), strings.Fields(m[1])); why != "" {
					t.Errorf("%s:%d: goldsmith %s: %s", page, n+1, m[1], why)
				}
			}
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if _, err := os.Stat(filepath.Join("../../docs", m[1])); err != nil {
					t.Errorf("%s:%d: %v", page, n+1, err)
				}
			}
		}
	}
}

// unknownCommand says what of a command line does not exist, "" for nothing.
func unknownCommand(list []*cli.Command, words []string) string {
	i := slices.IndexFunc(list, func(c *cli.Command) bool { return c.HasName(words[0]) })
	if i < 0 {
		return "no command " + words[0]
	}
	c := list[i]
	if len(words) > 1 && len(c.Subcommands) > 0 {
		return unknownCommand(c.Subcommands, words[1:])
	}
	for _, w := range words[1:] {
		name, _, _ := strings.Cut(strings.TrimLeft(w, "-"), "=")
		if strings.HasPrefix(w, "-") && !slices.ContainsFunc(c.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) }) {
			return "no flag " + w
		}
	}
	return ""
}

func pageLines(t *testing.T, page string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(data), "\n")
}
