package rewriters

import "goldsmith/firstboot/text/shellvar"

// openrc owns the administrator's credential files: packstack's keystonerc_*, and what others call openrc.
func openrc() Rewriter {
	return Rewriter{
		Name: "openrc", Short: "OS_AUTH_URL in the administrator's keystonerc_* and openrc files", Phase: Stack,
		Sweeps: []Sweep{
			{File: "/root/keystonerc_*", Codec: shellvar.Codec, Secret: true},
			{File: "/root/*openrc*", Codec: shellvar.Codec, Secret: true},
			{File: "/etc/openstack/*openrc*", Codec: shellvar.Codec, Secret: true},
		},
	}
}
