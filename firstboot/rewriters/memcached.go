package rewriters

import "goldsmith/firstboot/text/memcached"

// memcacheD owns the address that the cache listens on. Its content is the golden machine's and goes with a restart.
func memcacheD() Rewriter {
	return Rewriter{
		Name: "memcached", Short: "listening address of memcached", Phase: Stack,
		Units:    []string{"memcached.service"},
		Settings: []Setting{{File: "/etc/memcached.conf", Codec: memcached.Codec, Key: "-l", Rule: Any, Why: "the address that it listens on"}},
	}
}
