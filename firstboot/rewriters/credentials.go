package rewriters

import (
	"path"
	"strings"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/authority"
)

// A credential is one place in which an account's password stands.
type credential struct {
	path, key string
	account   string
	password  string
	url       bool   // the password is part of a URL
	uneven    bool   // the URL names several servers, with different passwords
	host      string // where the account is, if the place says so
	copied    bool   // an installer's record, which nobody reads: it follows, and has no say
}

// passwordKeys are options that hold a password, by the option beside them that names the user.
var passwordKeys = []struct{ password, user, kind string }{
	{"password", "username", "keystone"}, // keystoneauth: [keystone_authtoken], [placement], [service_user], ...
	{"admin_password", "admin_user", "keystone"},
	{"stack_domain_admin_password", "stack_domain_admin", "keystone"}, // heat
	{"OS_PASSWORD", "OS_USERNAME", "keystone"},
	{"rabbit_password", "rabbit_userid", "rabbit"},
	{"dbc_dbpass", "dbc_dbuser", "mysql"}, // dbconfig-common
}

// sharedKeys are options that hold a secret which belongs to no user.
var sharedKeys = map[string]string{"metadata_proxy_shared_secret": "nova/metadata"}

// credentials finds the passwords among the settings of a file. A password whose user the file does not name is none.
func credentials(file string, list []text.Entry) map[string]credential {
	values := map[string]string{}
	for _, e := range list {
		values[e.Key] = e.Value
	}
	out := map[string]credential{}
	for key, value := range values {
		if c, ok := credentialAt(key, value, values); ok {
			c.path, c.key = file, key
			out[key] = c
		}
	}
	return out
}

func credentialAt(key, value string, values map[string]string) (credential, bool) {
	if user, password, ok := authority.Userinfo(value); ok && user != "" {
		return urlCredential(value, user, password)
	}
	section, option := "", key
	if i := strings.LastIndex(key, "] "); i >= 0 {
		section, option = key[:i+2], key[i+2:]
	}
	if name, ok := sharedKeys[option]; ok && value != "" {
		return credential{account: name, password: value}, true
	}
	if name, ok := answeredAccount(key); ok {
		return credential{account: name, password: value, copied: true}, true
	}
	for _, k := range passwordKeys {
		if user := values[section+k.user]; option == k.password && user != "" {
			return credential{account: k.kind + "/" + user, password: value}, true
		}
	}
	return credential{}, false
}

// urlCredential knows connection strings of databases and message brokers.
func urlCredential(url, user, password string) (credential, bool) {
	scheme, _, _ := strings.Cut(url, "://")
	dialect, _, _ := strings.Cut(scheme, "+")
	kind := map[string]string{"mysql": "mysql", "mariadb": "mysql", "rabbit": "rabbit", "amqp": "rabbit", "kombu": "rabbit"}[dialect]
	if kind == "" {
		return credential{}, false
	}
	_, differs := authority.SetUserinfo(url, "", password)
	c := credential{account: kind + "/" + user, password: password, url: true, uneven: differs}
	if hosts := authority.Hosts(url); len(hosts) > 0 {
		c.host = hosts[0]
	}
	return c, true
}

// answeredAccount knows whose password an answer of packstack is: CONFIG_NOVA_DB_PW, CONFIG_NOVA_KS_PW.
func answeredAccount(key string) (string, bool) {
	name, ok := strings.CutPrefix(key, "[general] CONFIG_")
	if !ok {
		return "", false
	}
	switch name {
	case "KEYSTONE_ADMIN_PW":
		return "keystone/admin", true
	case "KEYSTONE_DEMO_PW":
		return "keystone/demo", true
	case "KEYSTONE_DB_PW":
		return "mysql/keystone_admin", true // puppet's name for it
	case "NEUTRON_METADATA_PW":
		return "nova/metadata", true
	}
	if service, ok := strings.CutSuffix(name, "_DB_PW"); ok {
		return "mysql/" + strings.ToLower(service), true
	}
	if service, ok := strings.CutSuffix(name, "_KS_PW"); ok {
		return "keystone/" + strings.ToLower(service), true
	}
	return "", false
}

// isCopy tells whether a file is an installer's record of what it did.
func isCopy(file string) bool { return strings.HasPrefix(path.Base(file), "packstack-answers") }
