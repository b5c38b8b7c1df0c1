// Command oned stands in for OpenNebula's in tests of bakes and clones. Like the real one it makes users, secrets and database at its
// first start, takes its MACs from MAC_PREFIX, lets in who has the password that its database knows, and answers as much XML-RPC as a
// recipe's step and goldsmith verify use. Its database is an SQLite file with the columns that firstboot looks at, written by the
// sqlite3 tool.
package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"log"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"goldsmith/firstboot/text/oned"
)

const (
	home = "/var/lib/one"
	db   = home + "/one.db"
	auth = home + "/.one/"
	conf = "/etc/one/oned.conf"
)

func main() {
	log.Fatal("cannot go on: ", run())
}

func run() error {
	if _, err := os.Stat(db); errors.Is(err, os.ErrNotExist) {
		if err := bootstrap(); err != nil {
			return err
		}
	}
	return http.ListenAndServe("0.0.0.0:2633", http.HandlerFunc(serve))
}

func sql(script string) (string, error) {
	cmd := exec.Command("sqlite3", "-batch", "-bail", db)
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("sqlite3: %w: %s", err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// bootstrap makes what oned makes of nothing. The password of oneadmin is there: the package's script made it.
func bootstrap() error {
	session, err := os.ReadFile(auth + "one_auth")
	if err != nil {
		return err
	}
	_, password, _ := strings.Cut(strings.TrimSpace(string(session)), ":")
	server := rand.Text()
	for name, data := range map[string]string{"sunstone_auth": "serveradmin:" + server, "oneflow_auth": "serveradmin:" + server,
		"onegate_auth": "serveradmin:" + server, "one_key": rand.Text()} {
		if err := os.WriteFile(auth+name, []byte(data+"\n"), 0o600); err != nil {
			return err
		}
	}
	var b strings.Builder
	for _, t := range strings.Fields("network vm template vrouter vn_template datastore zone host image user document cluster hook secgroup group vdc acl") {
		fmt.Fprintf(&b, "CREATE TABLE %s_pool (oid INTEGER PRIMARY KEY, name TEXT, body TEXT);\n", t)
	}
	b.WriteString("CREATE TABLE history (vid INTEGER, seq INTEGER, body TEXT, PRIMARY KEY(vid,seq));\n")
	user := func(id int, name, password string) {
		b.WriteString(insert("user", id, name, fmt.Sprintf("<USER><ID>%d</ID><NAME>%s</NAME><PASSWORD><![CDATA[%s]]></PASSWORD><TEMPLATE>"+
			"<TOKEN_PASSWORD><![CDATA[%s]]></TOKEN_PASSWORD></TEMPLATE></USER>", id, name, password, hash(rand.Text()))))
	}
	user(0, "oneadmin", hash(password))
	user(1, "serveradmin", hash(server))
	b.WriteString(insert("zone", 0, "OpenNebula", "<ZONE><ID>0</ID><NAME>OpenNebula</NAME><TEMPLATE><ENDPOINT><![CDATA[http://localhost:2633/RPC2]]></ENDPOINT></TEMPLATE></ZONE>"))
	for id, name := range []string{"system", "default", "files"} {
		b.WriteString(insert("datastore", id, name, fmt.Sprintf("<DATASTORE><ID>%d</ID><NAME>%s</NAME><TEMPLATE/></DATASTORE>", id, name)))
	}
	_, err = sql(b.String())
	return err
}

func insert(table string, id int, name, body string) string {
	return fmt.Sprintf("INSERT INTO %s_pool VALUES (%d,%s,%s);\n", table, id, quote(name), quote(body))
}

type message struct {
	Method string `xml:"methodName"`
	Params []struct {
		Text string `xml:"string"`
	} `xml:"params>param>value"`
}

func serve(w http.ResponseWriter, r *http.Request) {
	var m message
	err := xml.NewDecoder(r.Body).Decode(&m)
	if err != nil || r.URL.Path != "/RPC2" || len(m.Params) == 0 {
		http.Error(w, "no call", http.StatusBadRequest)
		return
	}
	v, err := answer(m)
	good := 1
	if err != nil {
		good, v = 0, "<string>["+m.Method+"] "+html.EscapeString(err.Error())+"</string>"
	}
	fmt.Fprintf(w, "<methodResponse><params><param><value><array><data><value><boolean>%d</boolean></value><value>%s</value>"+
		"<value><i4>%d</i4></value></data></array></value></param></params></methodResponse>", good, v, (1-good)*0x100)
}

// tables are those of kinds whose table has another name.
var tables = map[string]string{"vn": "network"}

func answer(m message) (string, error) {
	name, password, _ := strings.Cut(m.Params[0].Text, ":")
	known, err := sql("SELECT body FROM user_pool WHERE name=" + quote(name) + ";")
	if err != nil {
		return "", err
	}
	if !strings.Contains(known, "<PASSWORD><![CDATA["+hash(password)+"]]>") {
		return "", errors.New("User couldn't be authenticated, aborting call") //nolint:staticcheck // oned's own words
	}
	if m.Method == "one.system.version" {
		return "<string>6.10.5</string>", nil
	}
	kind, verb, _ := strings.Cut(strings.TrimPrefix(m.Method, "one."), ".")
	table := strings.TrimSuffix(kind, "pool")
	if t := tables[table]; t != "" {
		table = t
	}
	switch {
	case verb == "info" && strings.HasSuffix(kind, "pool"):
		all, err := sql("SELECT body FROM " + table + "_pool ORDER BY oid;")
		return "<string>" + html.EscapeString("<POOL>"+all+"</POOL>") + "</string>", err
	case verb == "allocate":
		id, err := allocate(kind, table, m.Params[1].Text)
		return "<i4>" + strconv.Itoa(id) + "</i4>", err
	}
	return "", errors.New("this stand-in does not know the method")
}

// allocate makes a host of a name, or any other object of a template.
func allocate(kind, table, text string) (int, error) {
	name, body, first := text, "", 0
	if kind != "host" {
		f, err := oned.Parse([]byte(text))
		if err != nil {
			return 0, err
		}
		name, _, _ = f.Get("NAME")
		body = "<TEMPLATE>" + template(f) + "</TEMPLATE>"
	}
	if kind == "datastore" {
		first = 100
	}
	if kind == "vn" {
		mac, err := firstMAC()
		if err != nil {
			return 0, err
		}
		body += "<AR_POOL><AR><AR_ID><![CDATA[0]]></AR_ID><MAC><![CDATA[" + mac + "]]></MAC><SIZE><![CDATA[254]]></SIZE></AR></AR_POOL>"
	}
	next, err := sql(fmt.Sprintf("SELECT max(coalesce(max(oid)+1,0),%d) FROM %s_pool;", first, table))
	if err != nil {
		return 0, err
	}
	id, err := strconv.Atoi(next)
	if err != nil {
		return 0, err
	}
	tag := map[string]string{"vn": "VNET"}[kind]
	if tag == "" {
		tag = strings.ToUpper(kind)
	}
	_, err = sql(insert(table, id, name, fmt.Sprintf("<%s><ID>%d</ID><NAME>%s</NAME>%s</%[1]s>", tag, id, html.EscapeString(name), body)))
	return id, err
}

func template(f *oned.File) string {
	var b strings.Builder
	for _, a := range f.Attrs {
		if a.Name != "NAME" && !a.Vector {
			fmt.Fprintf(&b, "<%s><![CDATA[%s]]></%[1]s>", a.Name, a.Value)
		}
	}
	return b.String()
}

// firstMAC draws a range under MAC_PREFIX, as oned does where the template names no address.
func firstMAC() (string, error) {
	data, err := os.ReadFile(conf)
	if err != nil {
		return "", err
	}
	f, err := oned.Parse(data)
	if err != nil {
		return "", err
	}
	prefix, _, err := f.Get("MAC_PREFIX")
	return prefix + ":5e:00:00:01", err
}
