package rewriters

import (
	"context"
	"net/netip"

	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/mycnf"
)

// mariaDB makes the database server start on the clone at all: bound to the golden address, it does not. That must happen
// before the stack phase, which needs the server; the clone's own address is not known then, so it listens on every one.
func mariaDB() Rewriter {
	return Rewriter{
		Name: "mariadb", Short: "bind-address of MariaDB", Phase: Local,
		Units:  []string{"mariadb.service"},
		Owns:   []Place{{Where: "/etc/my.cnf*, /etc/mysql/**.cnf", Key: "[mysqld] bind-address", Why: "an address that the clone does not have"}},
		Leaves: []Place{{Where: "mysql.proc, views, triggers", Key: "definer", Why: "no stack of ours has them"}},
		Plan:   planMariaDB,
	}
}

var mariaFiles = []string{"/etc/my.cnf", "/etc/my.cnf.d/*.cnf", "/etc/mysql/my.cnf", "/etc/mysql/conf.d/*.cnf", "/etc/mysql/mariadb.conf.d/*.cnf"}

func planMariaDB(_ context.Context, s *Scene) error {
	for _, pattern := range mariaFiles {
		paths, err := s.Host.Glob(pattern)
		if err != nil {
			return err
		}
		for _, p := range paths {
			if info, err := s.Host.Lstat(p); err != nil || !info.Mode().IsRegular() {
				continue // /etc/mysql/my.cnf is a link to another of these
			}
			if err := s.bindAddress(p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Scene) bindAddress(path string) error {
	for _, group := range []string{"mysqld", "server", "mariadb", "mariadbd"} {
		key := "[" + group + "] bind-address"
		was, ok, err := s.Get(mycnf.Codec, path, key)
		if err != nil {
			return err
		}
		a, perr := netip.ParseAddr(was)
		if !ok || perr != nil || !s.Old.Address(a) {
			continue
		}
		s.Propose(plan.Change{Kind: plan.Kind(mycnf.Codec.Name), Where: path, Key: key, Was: plan.Text(was), Want: plan.Text("0.0.0.0"),
			Why: "the server does not start on an address that is not there", Restart: s.by.Units})
	}
	return nil
}

// mariaDBAccounts follows accounts that are bound to this machine: 'nova'@'10.0.0.1' cannot log in from another address.
func mariaDBAccounts() Rewriter {
	return Rewriter{
		Name: "mariadb-accounts", Short: "hosts that accounts of MariaDB are bound to", Phase: Stack, Base: true,
		Owns:   []Place{{Where: "mysql.global_priv", Key: "host", Why: "an account and its grants, bound to the golden address or name"}},
		Leaves: []Place{{Where: "mysql.global_priv", Key: "host with % or a netmask", Why: "is nobody's address"}},
		Plan:   planMariaDBAccounts,
	}
}

func planMariaDBAccounts(ctx context.Context, s *Scene) error {
	if !s.asked("mariadb") {
		return nil
	}
	users, err := s.Host.DBUsers(ctx)
	there := map[string]bool{}
	for _, u := range users {
		there[u["user"]+"@"+u["host"]] = true
	}
	for _, u := range users {
		id, want := u["user"]+"@"+u["host"], s.host(u["host"])
		if want != u["host"] && there[u["user"]+"@"+want] {
			s.Note("account "+id, "stays: the same user is bound to "+want+", too")
			continue
		}
		there[u["user"]+"@"+want] = true
		s.Propose(plan.Change{Kind: plan.DBHost, Where: "mysql.user", Key: id, Was: plan.Text(u["host"]), Want: plan.Text(want),
			Why: "bound to the golden machine"})
	}
	return err
}
