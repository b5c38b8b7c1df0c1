package recipe

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// Schema returns the JSON schema (2020-12) of a recipe, made from the Go types, for editors and other programs.
func Schema() []byte {
	s := object(reflect.TypeFor[Recipe]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "goldsmith recipe"
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("schema does not marshal: " + err.Error()) // impossible: maps, strings and lists
	}
	return append(b, '\n')
}

func object(t reflect.Type) map[string]any {
	properties := map[string]any{}
	var required []string
	for f := range t.Fields() {
		name := f.Tag.Get("yaml")
		if !f.IsExported() {
			continue
		}
		properties[name] = property(f.Type, f.Tag)
		if slices.Contains([]string{"Recipe.name", "Archive.name", "Archive.url", "Archive.key", "Layer.name", "Layer.packages", "File.path", "Step.name", "OpenStack.services",
			"Datastore.name", "Datastore.type", "VirtualNetwork.name", "VirtualNetwork.driver", "StoreMount.datastore", "StoreMount.source",
			"StoreMount.type", "Volume.datastore", "Volume.disks", "HostBridge.name", "HostBridge.port", "HostBridge.manager",
			"VMDisk.name", "VMDisk.size", "Upload.path", "Answers.kind", "Answers.path", "Accept.path", "Accept.why"}, t.Name()+"."+name) {
			required = append(required, name)
		}
	}
	out := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if required != nil {
		out["required"] = required
	}
	return out
}

func property(t reflect.Type, tag reflect.StructTag) map[string]any {
	out := typeOf(t, tag)
	if d := tag.Get("doc"); d != "" {
		out["description"] = d
	}
	return out
}

func typeOf(t reflect.Type, tag reflect.StructTag) map[string]any {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[Size]():
		return map[string]any{"type": []string{"string", "integer"}, "pattern": `^[0-9.]+[KMGTkmgt]?$`}
	case t == reflect.TypeFor[Mode]():
		return map[string]any{"type": "string", "pattern": "^[0-7]{3,4}$"}
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Struct:
		return object(t)
	case reflect.Slice:
		return map[string]any{"type": "array", "items": typeOf(t.Elem(), tag)}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer", "minimum": 0}
	}
	return word(tag)
}

func word(tag reflect.StructTag) map[string]any {
	out := map[string]any{"type": "string"}
	if e := tag.Get("enum"); e != "" {
		out["enum"] = strings.Split(e, ",")
	}
	if p := tag.Get("pattern"); p != "" {
		out["pattern"] = p
	}
	return out
}
