// Package recipes holds the recipes that come with goldsmith, one file per product, and the schema that all recipes obey.
package recipes

import "embed"

// FS has NAME.yaml for every recipe, and recipe.schema.json.
//
//go:embed *.yaml recipe.schema.json
var FS embed.FS
