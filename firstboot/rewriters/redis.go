package rewriters

import (
	"context"
	"errors"
	"strings"
)

// redis makes the server start on the clone: bound to the golden address, it does not. Like MariaDB it may start before
// the address is known, so it listens on every one.
func redis() Rewriter {
	return Rewriter{
		Name: "redis", Short: "bind of Redis", Phase: Local,
		Units:  []string{"redis.service", "redis-server.service"},
		Owns:   []Place{{Where: strings.Join(redisFiles, ", "), Key: "bind", Why: "an address that the clone does not have"}},
		Leaves: []Place{{Where: "/var/lib/redis", Why: "holds caches and locks, and no identity"}},
		Plan:   planRedis,
	}
}

var redisFiles = []string{"/etc/redis.conf", "/etc/redis/redis.conf"}

func planRedis(_ context.Context, s *Scene) error {
	var errs []error
	for _, f := range redisFiles {
		errs = append(errs, s.eachLine(f, "an address that the clone does not have", func(line string) string {
			words := strings.Fields(line)
			if len(words) < 2 || words[0] != "bind" {
				return line
			}
			for i, w := range words[1:] {
				words[i+1], _ = boundAddress(s, w)
			}
			if want := strings.Join(words, " "); want != strings.Join(strings.Fields(line), " ") {
				return want
			}
			return line
		}))
	}
	return errors.Join(errs...)
}

// boundAddress turns an address that was ours into all of them.
func boundAddress(s *Scene, was string) (string, error) {
	if s.Old.Host(was) && !Loopback(was) {
		return "0.0.0.0", nil
	}
	return was, nil
}
