package rewriters

import "goldsmith/firstboot/text/ini"

// glance follows the identity in the image service's configuration.
func glance() Rewriter {
	return Rewriter{
		Name: "glance", Short: "addresses and URLs in glance's configuration", Phase: Stack,
		Units: []string{"glance-api.service", "openstack-glance-api.service"},
		Sweeps: []Sweep{
			{File: "/etc/glance/*.conf", Codec: ini.Codec},
			{File: "/etc/glance/glance-api.conf.d/*.conf", Codec: ini.Codec},
		},
		Leaves: []Place{{Where: "glance.image_locations.value", Why: "file:///var/lib/glance/images/<id> names no host"}},
	}
}
