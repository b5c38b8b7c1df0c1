package rewriters

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/shellvar"
)

// RabbitMQ keeps its users in a database of its own format. It imports definitions from a JSON file at every start since
// 3.8.2, and takes the name of that file from the Erlang command line, whatever the format of its configuration (measured
// with 3.10.8, with and without an old rabbitmq.config).
const (
	brokerFile = "/etc/rabbitmq/goldsmith-users.json"
	brokerArgs = "SERVER_ADDITIONAL_ERL_ARGS"
	brokerLoad = `-rabbit load_definitions "` + brokerFile + `"`
)

// A brokerUser is one user of RabbitMQ's definitions. Its permissions stay as they are.
type brokerUser struct {
	Name      string   `json:"name"`
	Hash      string   `json:"password_hash"`
	Algorithm string   `json:"hashing_algorithm"`
	Tags      []string `json:"tags"`
}

// brokerCannot says why the password of a broker's account has to stay, "" where it need not.
func (s *Scene) brokerCannot(a *account) string {
	if a.old == "guest" && a.user() == "guest" {
		return "guest with the password guest is RabbitMQ's own default, and no secret; the broker takes it over the loopback only"
	}
	if !s.brokerIsHere() {
		return "the broker is not on this machine, or never ran"
	}
	args, ok, err := s.Get(shellvar.Codec, rabbitEnv, brokerArgs)
	if err != nil || ok && args != brokerLoad {
		return rabbitEnv + " has arguments of its own for Erlang"
	}
	return ""
}

// brokerIsHere tells whether RabbitMQ has run on this machine.
func (s *Scene) brokerIsHere() bool {
	nodes, err := s.Host.Glob("/var/lib/rabbitmq/mnesia/*")
	return err == nil && len(nodes) > 0
}

// brokerDefinitions tells the broker the passwords of all accounts that change. In the local phase that is before its start;
// in the stack phase everything stands there already.
func (s *Scene) brokerDefinitions() error {
	var users []brokerUser
	for _, name := range slices.Sorted(maps.Keys(s.accounts)) {
		if a := s.accounts[name]; a.kind() == "rabbit" && a.changes && s.brokerIsHere() {
			users = append(users, brokerUser{Name: a.user(), Hash: brokerHash(a.want, s.SecretBytes(name+"/salt", 4)),
				Algorithm: "rabbit_password_hashing_sha256", Tags: brokerTags(a.user())})
		}
	}
	if len(users) == 0 {
		return nil
	}
	data, err := json.MarshalIndent(map[string]any{"users": users}, "", "  ")
	if err != nil {
		return err
	}
	meta := plan.Meta{Mode: 0o640, Group: "rabbitmq"}
	if err := s.SecretFile(brokerFile, append(data, '\n'), meta, "the broker's own passwords"); err != nil {
		return err
	}
	if _, err := s.Host.Stat(rabbitEnv); err != nil {
		return s.File(rabbitEnv, []byte(brokerArgs+"='"+brokerLoad+"'\n"), plan.Meta{Mode: 0o644}, "tells the broker of its users")
	}
	return s.Set(shellvar.Codec, rabbitEnv, brokerArgs, brokerLoad, "tells the broker of its users")
}

// brokerTags: the import needs tags, and replaces those that are there. Only guest has one by default.
func brokerTags(user string) []string {
	if strings.EqualFold(user, "guest") {
		return []string{"administrator"}
	}
	return []string{}
}
