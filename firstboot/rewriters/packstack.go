package rewriters

import "goldsmith/firstboot/text/ini"

// packstackAnswers owns the answer file that packstack leaves behind: run again with it, packstack would give the clone the
// golden addresses and passwords back.
func packstackAnswers() Rewriter {
	return Rewriter{
		Name: "packstack-answers", Short: "addresses and passwords in packstack's answer files", Phase: Stack, Base: true,
		Sweeps: []Sweep{{File: "/root/packstack-answers*.txt", Codec: ini.Codec, Secret: true}},
		Leaves: []Place{{Where: "/var/tmp/packstack", Why: "logs and manifests of the installation, which nobody reads; sealing removes them"}},
	}
}
