// Package images is the catalogue of base images: one small file for each, with where the vendor publishes it, whose checksum
// file vouches for it, and what is known of the system inside. The addresses are those of the vendors themselves; mirrors and
// local folders are put in front of them by the bench's own configuration, never here.
package images

import "embed"

// FS holds the catalogue, NAME.json.
//
//go:embed *.json
var FS embed.FS
