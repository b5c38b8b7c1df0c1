package rewriters

import (
	"goldsmith/firstboot/text/debconf"
	"goldsmith/firstboot/text/shellvar"
)

// debconfAnswers owns what Debian's packages remember of the golden machine. Their maintainer scripts write these answers
// into the configuration again at every upgrade: without this, an apt upgrade on a clone brings the golden identity back.
func debconfAnswers() Rewriter {
	return Rewriter{
		Name: "debconf", Short: "addresses and names in debconf's answers, so that upgrades do not bring them back", Phase: Stack, Base: true,
		Sweeps: []Sweep{
			{File: "/var/cache/debconf/config.dat", Codec: debconf.Codec},
			{File: "/etc/dbconfig-common/*.conf", Codec: shellvar.Codec},
		},
		Leaves: []Place{{Where: "/var/cache/debconf/passwords.dat", Why: "holds no address; see the stacks' own secrets"}},
	}
}
