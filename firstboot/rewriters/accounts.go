package rewriters

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/authority"
)

// An account is a user with one password: in a server, and in every file of those who use it. The password changes in all
// of these places or in none.
type account struct {
	name     string // as recipes keep it: "mysql/nova", "rabbit/openstack", "keystone/admin", "nova/metadata"
	want     string
	begun    []string // what earlier lives wanted that were cut before they were there
	places   []credential
	old      string // what its places hold until they hold want; "" when all of them do
	changes  bool
	whyKept  string // for a person; "" where the recipe keeps it
	prepared []plan.Change
}

func (a *account) kind() string { k, _, _ := strings.Cut(a.name, "/"); return k }
func (a *account) user() string { _, u, _ := strings.Cut(a.name, "/"); return u }

// accounts changes the passwords that services share. It owns the servers' side: MariaDB's accounts and keystone's rows.
// The files belong to their stacks, whose sweeps ask here.
func accounts() Rewriter {
	return Rewriter{
		Name: "accounts", Short: "passwords of database, broker and keystone accounts, in the servers and in all files at once", Phase: Stack, Base: true,
		Owns: []Place{
			{Where: "mysql.user", Key: "password", Why: "accounts that a service's connection string names"},
			{Where: "keystone.password", Key: "password_hash", Why: "the administrator, and services that log in to keystone"},
			{Where: "configuration of the stacks", Key: "passwords, also in URLs; metadata_proxy_shared_secret", Why: "one password per account, the same everywhere"},
		},
		Leaves: []Place{
			{Where: "mysql.user", Key: "root", Why: "logs in over the unix socket, without a password"},
			{Where: "any account", Key: "with its password in a place unknown here", Why: "half a change locks the service out; the report names the place"},
			{Where: "any account of a cluster", Key: "whose nodes were told no secret", Why: "other nodes have the same password; new ones would lock them out"},
			{Where: "heat.conf auth_encryption_key, barbican's kek, swift's hash path", Why: "what is stored is encrypted or placed by them"},
		},
		Plan: planAccounts,
	}
}

func planAccounts(_ context.Context, s *Scene) error {
	if err := s.brokerDefinitions(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.accounts)) {
		a := s.accounts[name]
		for _, c := range a.prepared {
			s.Propose(c)
		}
		if a.changes {
			s.Tell(a.name, a.want)
		} else if a.whyKept != "" {
			s.Note("password of "+a.name, "kept: "+a.whyKept)
		}
	}
	return nil
}

// decideAccounts finds the accounts and decides about each, before anybody plans. Outside the first run of a clone there is
// nothing to decide.
func (s *Scene) decideAccounts(ctx context.Context) error {
	if !s.Rekey {
		return nil
	}
	found, err := s.findAccounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range found {
		if s.Phase == Local && a.kind() != "rabbit" {
			a.whyKept = "decided when the database answers"
			continue
		}
		if err := s.decideAccount(ctx, a); err != nil {
			return fmt.Errorf("account %s: %w", a.name, err)
		}
	}
	s.accounts = found
	return s.keepStrays(found)
}

// findAccounts reads every file that the stacks sweep, and nova's cells.
func (s *Scene) findAccounts(ctx context.Context) (map[string]*account, error) {
	found := map[string]*account{}
	add := func(c credential) {
		a := found[c.account]
		if a == nil {
			a = &account{name: c.account, want: s.accountSecret(c.account, 32), begun: s.begunSecrets(c.account, 32)}
			found[c.account] = a
		}
		a.places = append(a.places, c)
	}
	err := s.sweptFiles(func(sw Sweep, path string) error {
		list, err := s.List(sw.Codec, path)
		for _, c := range credentials(path, list) {
			add(c)
		}
		return err
	})
	if err == nil && s.Phase == Stack && s.asked("nova") {
		err = s.cellCredentials(ctx, add)
	}
	for name, a := range found {
		if !slices.ContainsFunc(a.places, func(c credential) bool { return !c.copied }) {
			delete(found, name) // an installer's answer for a service that is not there
		}
	}
	return found, err
}

// sweptFiles visits the files that the running stacks sweep, whatever the phase: an account has one password in both.
func (s *Scene) sweptFiles(visit func(Sweep, string) error) error {
	var errs []error
	for _, r := range s.list {
		for _, sw := range r.Sweeps {
			paths, err := s.Host.Glob(sw.File)
			errs = append(errs, err)
			for _, p := range paths {
				errs = append(errs, visit(sw, p))
			}
		}
	}
	return errors.Join(errs...)
}

// asked tells whether a rewriter runs on this machine.
func (s *Scene) asked(name string) bool {
	return slices.ContainsFunc(s.list, func(r Rewriter) bool { return r.Name == name })
}

// decideAccount asks the places whether they agree, and the server whether it knows the same password.
func (s *Scene) decideAccount(ctx context.Context, a *account) error {
	if !s.Rekeys(a.name) {
		return nil
	}
	a.whyKept = s.placesDisagree(a)
	if a.whyKept != "" {
		return nil
	}
	if s.servedElsewhere(a) {
		a.changes = true // the node that serves it comes to the same password
		return nil
	}
	var err error
	switch a.kind() {
	case "mysql":
		err = s.decideDatabase(ctx, a)
	case "keystone":
		err = s.decideKeystone(ctx, a)
	case "rabbit":
		a.whyKept = s.brokerCannot(a)
	}
	a.changes = err == nil && a.whyKept == ""
	return err
}

func (s *Scene) placesDisagree(a *account) string {
	if len(s.To.Peers) > 0 && s.Cluster == nil {
		return "other nodes of the cluster have it, too, and this one was told no secret of the cluster"
	}
	for _, c := range a.places {
		switch {
		case c.copied || c.password == a.want || slices.Contains(a.begun, c.password):
		case c.host != "" && !s.here(c.host) && !s.sharedWith(c.host):
			return c.path + " uses it on another machine, " + c.host
		case c.password == "" || c.uneven:
			return c.path + " " + c.key + " has none, or several"
		case a.old != "" && a.old != c.password:
			return c.path + " " + c.key + " has another one than the other places"
		default:
			a.old = c.password
		}
	}
	return ""
}

// sharedWith tells whether a host is a node of this clone's cluster, which takes the same passwords from the same secret.
func (s *Scene) sharedWith(host string) bool {
	_, named := s.To.Peers[host]
	return named && s.Cluster != nil
}

// servedElsewhere tells whether an account is in a server on another node of the cluster.
func (s *Scene) servedElsewhere(a *account) bool {
	if s.Cluster == nil {
		return false
	}
	switch a.kind() {
	case "keystone":
		return !s.asked("keystone")
	case "rabbit":
		return !s.brokerIsHere()
	}
	return slices.ContainsFunc(a.places, func(c credential) bool { return s.sharedWith(c.host) })
}

// decideDatabase proposes the new hash for every host part of a MariaDB account.
func (s *Scene) decideDatabase(ctx context.Context, a *account) error {
	users, err := s.Host.DBUsers(ctx)
	if err != nil {
		return err
	}
	want := nativePassword(a.want)
	var changes []plan.Change
	for _, u := range users {
		if u["user"] != a.user() {
			continue
		}
		if u["hash"] != want && a.old != "" && !a.knows(func(pw string) bool { return u["hash"] == nativePassword(pw) }) {
			a.whyKept = "the database server has another one for " + u["user"] + "@" + u["host"]
			return nil
		}
		changes = append(changes, plan.Change{Kind: plan.DBUser, Where: "mysql.user", Key: u["user"] + "@" + u["host"],
			Was: plan.Text(u["hash"]), Want: plan.Text(want), Why: "the clone's own password", Secret: true})
	}
	if len(changes) == 0 {
		a.whyKept = "the database server has no such account"
	}
	a.prepared = changes
	return nil
}

// decideKeystone proposes the new hash in the row that counts, which is the youngest one.
func (s *Scene) decideKeystone(ctx context.Context, a *account) error {
	if !s.asked("keystone") {
		a.whyKept = "keystone is on another machine"
		return nil
	}
	id, err := s.localUser(ctx, a)
	if err != nil || id == "" {
		return err
	}
	rows, err := s.Host.Rows(ctx, "keystone", "password", "id", "local_user_id", "password_hash", "created_at_int")
	if err != nil {
		return err
	}
	row := -1
	for i, r := range rows {
		if r["local_user_id"] == id && (row < 0 || younger(r["created_at_int"], rows[row]["created_at_int"])) {
			row = i
		}
	}
	want, err := keystoneHash(a.want, s.SecretBytes(a.name+"/salt", 16), passlibRounds)
	switch {
	case err != nil:
		return err
	case row < 0:
		a.whyKept = "keystone has no password for it"
		return nil
	case rows[row]["password_hash"] != want && a.old != "" && !a.knows(func(pw string) bool { return keystoneVerifies(rows[row]["password_hash"], pw) }):
		a.whyKept = "keystone has another one"
		return nil
	}
	a.prepared = []plan.Change{{Kind: plan.Row, Was: plan.Text(rows[row]["password_hash"]), Want: plan.Text(want), Secret: true,
		Row: &plan.Target{Schema: "keystone", Table: "password", Match: map[string]string{"id": rows[row]["id"]}, Column: "password_hash"},
		Why: "the clone's own password"}}
	return nil
}

// younger compares two counts of microseconds: they may differ in length.
func younger(a, b string) bool { return len(a) > len(b) || len(a) == len(b) && a >= b }

// knows tells whether one of the passwords that the account had, or was on its way to, is the right one.
func (a *account) knows(right func(string) bool) bool {
	return right(a.old) || slices.ContainsFunc(a.begun, right)
}

// localUser finds the id of a user of keystone's own. One name in two domains is two users, and files name the domain in
// too many ways to tell which.
func (s *Scene) localUser(ctx context.Context, a *account) (id string, err error) {
	rows, err := s.Host.Rows(ctx, "keystone", "local_user", "id", "name")
	if err != nil {
		return "", err
	}
	for _, r := range rows {
		switch {
		case !strings.EqualFold(r["name"], a.user()):
		case id != "":
			a.whyKept = "two domains of keystone have such a user"
			return "", nil
		default:
			id = r["id"]
		}
	}
	if id == "" {
		a.whyKept = "keystone has no such user"
	}
	return id, nil
}

// withPassword returns a value with the clone's own password in it, where its account changes.
func (s *Scene) withPassword(c credential, was string) string {
	a := s.accounts[c.account]
	if a == nil || !a.changes || c.password != a.old && !slices.Contains(a.begun, c.password) {
		return was
	}
	if c.url {
		was, _ = authority.SetUserinfo(was, "", a.want)
		return was
	}
	return a.want
}
