package rewriters

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"goldsmith/firstboot/text/shellvar"
)

// rows proposes what names the machine in the engine's tables. Ids are local to each database.
func (e *engine) rows(ctx context.Context) error {
	set := func(table, key string, rule Rule, columns ...string) rowSet {
		return rowSet{schema: e.schema, table: table, key: []string{key}, columns: columns, rule: rule, why: "names the golden machine"}
	}
	dwh := set("dwh_history_timekeeping", "var_name", Name, "var_value")
	dwh.optional = true
	return e.followRows(ctx,
		set("vdc_options", "option_id", optionValue, "option_value"),
		set("storage_server_connections", "id", connection, "connection"),
		set("providers", "id", URL, "url", "auth_url"),
		set("sso_clients", "id", URL, "callback_prefix", "notification_callback"),
		set("cluster", "cluster_id", optionValue, "spice_proxy"),
		dwh,
	)
}

// optionValue follows an address, a qualified name, host:port or a URL. A short name may be a word: "Engine:6100" means the
// engine, whatever its name.
func optionValue(s *Scene, was string) (string, error) {
	h, _, _ := strings.Cut(was, ":")
	if !strings.Contains(was, "://") && !strings.Contains(h, ".") {
		return was, nil
	}
	return s.token(was), nil
}

// connection follows the host of host:/path.
func connection(s *Scene, was string) (string, error) {
	h, _, _ := strings.Cut(was, ":/")
	return s.host(h) + was[len(h):], nil
}

// hosts renames the engine's own machine among its hosts, and refuses others: the golden engine, and every clone, has them too.
// Storage is reported only, for an engine touches it through hosts alone.
func (e *engine) hosts(ctx context.Context) {
	var others []string
	for _, r := range e.read(ctx, "vds_static", "vds_id", "host_name") {
		name := r["host_name"]
		if !e.here(name) {
			others = append(others, name)
			continue
		}
		e.set("vds_static", "vds_id", r["vds_id"], "host_name", name, e.host(name), "this machine as a host of its own engine", false)
		if e.Rekey {
			e.Note("host "+name, "is this machine, and vdsm's certificate is the golden one's until the host is reinstalled from the engine")
		}
	}
	if !e.Rekey {
		return
	}
	if len(others) > 0 {
		e.unless("ovirt/hosts", "hosts "+strings.Join(others, ", "), "each clone's engine would fence them and start VMs on them, beside the golden one: remove them before cloning")
	}
	for _, r := range e.read(ctx, "storage_pool", "name", "id") {
		e.Note("data centre "+r["name"], "has the id "+r["id"]+" in every clone: no two of them may use one storage")
	}
	for _, r := range e.read(ctx, "storage_server_connections", "connection") {
		if h, _, _ := strings.Cut(r["connection"], ":/"); !e.here(h) {
			e.Note("storage connection "+r["connection"], "is known to every clone: only one of them may use it")
		}
	}
}

// password changes the engine's account in PostgreSQL, and in the files that hold its password.
func (e *engine) password(ctx context.Context) error {
	user, ok, err := e.Get(shellvar.Codec, engineDB, "ENGINE_DB_USER")
	if err != nil || !ok || !e.Rekeys("ovirt/database") {
		return err
	}
	const why = "the clone's own password"
	want := e.Secret("ovirt/database", 22)
	for _, r := range e.read(ctx, "pg_authid", "rolname", "rolpassword") {
		if was := r["rolpassword"]; r["rolname"] == user {
			verifier, err := pgVerifier(was, user, want, e.SecretBytes("ovirt/database/salt", 16))
			if err != nil {
				return err
			}
			e.set("pg_authid", "rolname", user, "rolpassword", was, verifier, why, true)
		}
	}
	for _, f := range []string{engineDB, dwhConf + "10-setup-database.conf"} {
		if err := e.Follow(Setting{File: f, Codec: shellvar.Codec, Key: "ENGINE_DB_PASSWORD", Secret: true, Why: why, Rule: fixed(want)}); err != nil {
			return err
		}
	}
	return e.editLines("/etc/ovirt-engine/aaa/internal.properties", why, true, func(line string) string {
		if key, _, ok := strings.Cut(line, "="); ok && key == "config.datasource.dbpassword" {
			return key + "=" + want
		}
		return line
	})
}

// pgVerifier returns a password as PostgreSQL stores it, of the kind that stands there: SCRAM-SHA-256 (RFC 5803) or md5.
func pgVerifier(like, user, password string, salt []byte) (string, error) {
	if !strings.HasPrefix(like, "SCRAM-SHA-256$") {
		sum := md5.Sum([]byte(password + user))
		return "md5" + hex.EncodeToString(sum[:]), nil
	}
	const rounds = 4096 // PostgreSQL's own
	salted, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("cannot hash a password: %w", err)
	}
	mac := func(text string) []byte {
		m := hmac.New(sha256.New, salted)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", rounds, b64(salt), b64(stored[:]), b64(mac("Server Key"))), nil
}
