package recipe_test

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"goldsmith/builder/recipe"
	"goldsmith/recipes"
)

var update = flag.Bool("update", false, "write recipes/recipe.schema.json anew")

// TestSchemaFile holds the schema that editors use to the Go types.
func TestSchemaFile(t *testing.T) {
	const file = "../../recipes/recipe.schema.json"
	if *update {
		if err := os.WriteFile(file, recipe.Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, recipe.Schema()) {
		t.Errorf("%s is not what the types say\nhint: make schema", file)
	}
}

// compiled is the schema, ready to judge.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(recipe.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("recipe.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("recipe.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchemaJudges shows that the schema takes our recipes, and refuses what the loader refuses.
func TestSchemaJudges(t *testing.T) {
	s := compiled(t)
	files, err := recipes.FS.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".yaml") {
			continue
		}
		data, err := recipes.FS.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(parse(t, string(data))); err != nil {
			t.Errorf("%s: %v", f.Name(), err)
		}
	}
	for _, bad := range []string{"pakages: []\nname: a", "name: A_", "name: a\nbase: {architecture: z80}", "name: a\nfiles: [{content: x}]", "name: a\nfiles: [{path: /a, mode: 420}]"} {
		if s.Validate(parse(t, bad)) == nil {
			t.Errorf("the schema takes %q", bad)
		}
	}
}

func parse(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestEveryKeyIsExplained keeps the format's manual complete: each field has a YAML key, the same in JSON, and a text.
func TestEveryKeyIsExplained(t *testing.T) {
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for f := range typ.Fields() {
			key, json, doc := f.Tag.Get("yaml"), strings.Split(f.Tag.Get("json"), ",")[0], f.Tag.Get("doc")
			if f.IsExported() && (key == "" || key != json || doc == "") {
				t.Errorf("%s.%s: yaml %q, json %q, doc %q", typ.Name(), f.Name, key, json, doc)
			}
			next := f.Type
			for slices.Contains([]reflect.Kind{reflect.Slice, reflect.Pointer}, next.Kind()) {
				next = next.Elem()
			}
			if next.Kind() == reflect.Struct && next != reflect.TypeFor[netip.Prefix]() {
				walk(next)
			}
		}
	}
	walk(reflect.TypeFor[recipe.Recipe]())
}
