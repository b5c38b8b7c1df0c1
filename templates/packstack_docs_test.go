package templates

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"goldsmith/recipes"
)

var (
	stepLine = regexp.MustCompile(`(?m)^  - name: (\S+)$`)
	stepWord = regexp.MustCompile("step `([a-z-]+)`")
)

// TestArticleTable holds the table of docs/packstack.md against the recipe: no row is empty, every step that it names is there, and
// every step of the recipe stands in it. Phases that every bake has count as steps.
func TestArticleTable(t *testing.T) {
	doc, err := os.ReadFile("../docs/packstack.md")
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := fs.ReadFile(recipes.FS, "openstack-packstack-victoria.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(doc), "## From the article to the recipe\n")
	table, _, _ = strings.Cut(table, "\n## ")
	var named []string
	rows := 0
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| the article") {
			continue
		}
		rows++
		cells := strings.Split(strings.ReplaceAll(strings.TrimSpace(line), `\|`, "/"), "|")
		if len(cells) != 4 || strings.TrimSpace(cells[1]) == "" || strings.TrimSpace(cells[2]) == "" {
			t.Errorf("a row without both cells: %s", line)
		}
		for _, m := range stepWord.FindAllStringSubmatch(line, -1) {
			named = append(named, m[1])
		}
	}
	if rows < 50 {
		t.Errorf("only %d rows", rows)
	}
	var steps []string
	for _, m := range stepLine.FindAllStringSubmatch(string(recipe), -1) {
		steps = append(steps, m[1])
	}
	for _, s := range steps {
		if !slices.Contains(named, s) {
			t.Errorf("step %s of the recipe is in no row", s)
		}
	}
	for _, s := range named {
		if !slices.Contains(steps, s) && s != "power-off" {
			t.Errorf("the table names step %s, which the recipe does not have", s)
		}
	}
}
