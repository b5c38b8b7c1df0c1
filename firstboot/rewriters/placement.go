package rewriters

import "goldsmith/firstboot/text/ini"

// placement follows the identity in the placement service's configuration.
func placement() Rewriter {
	return Rewriter{
		Name: "placement", Short: "addresses and URLs in placement's configuration", Phase: Stack,
		Units:  []string{"placement-api.service", "httpd.service"},
		Sweeps: []Sweep{{File: "/etc/placement/*.conf", Codec: ini.Codec}},
		Owns:   []Place{{Where: "placement.resource_providers", Key: "name", Why: "the compute node's name; its uuid stays"}},
		Plan:   placementRows,
	}
}
