package rewriters

import (
	"context"

	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/shellvar"
)

// rabbitMQ owns the broker's cookie: whoever has it can take the node over. The node's name must be pinned when the image
// is baked, or the broker starts with an empty database under the clone's name (measured: users and queues are lost).
func rabbitMQ() Rewriter {
	return Rewriter{
		Name: "rabbitmq", Short: "Erlang cookie of RabbitMQ; its node name is checked", Phase: Local,
		Units: []string{"rabbitmq-server.service"},
		Owns: []Place{
			{Where: erlangCookie, Why: "admits to the node"},
			{Where: brokerFile, Why: "the accounts' own passwords, as hashes; the broker reads them at every start"},
			{Where: rabbitEnv, Key: brokerArgs, Why: "tells the broker of that file"},
		},
		Leaves: []Place{{Where: rabbitEnv, Key: "NODENAME", Why: "must be rabbit@localhost: the broker's database is named after it"}},
		Plan:   planRabbitMQ,
	}
}

const (
	erlangCookie = "/var/lib/rabbitmq/.erlang.cookie"
	rabbitEnv    = "/etc/rabbitmq/rabbitmq-env.conf"
)

func planRabbitMQ(_ context.Context, s *Scene) error {
	if err := s.brokerDefinitions(); err != nil {
		return err
	}
	if s.Rekeys("rabbitmq/cookie") {
		if _, err := s.Host.Stat(erlangCookie); err == nil {
			meta := plan.Meta{Mode: 0o400, Owner: "rabbitmq", Group: "rabbitmq"}
			if err := s.SecretFile(erlangCookie, []byte(s.Secret("rabbitmq/cookie", 20)), meta, "admits to the node"); err != nil {
				return err
			}
		}
	}
	if s.From.Hostname == s.To.Hostname {
		return nil
	}
	for _, key := range []string{"NODENAME", "RABBITMQ_NODENAME"} {
		if _, ok, err := s.Get(shellvar.Codec, rabbitEnv, key); err != nil || ok {
			return err
		}
	}
	mnesia, err := s.Host.Glob("/var/lib/rabbitmq/mnesia/rabbit@" + s.From.Hostname)
	if err == nil && len(mnesia) > 0 {
		s.Danger(rabbitEnv, "the node's name follows the host name, so the broker would start without its users; "+
			"bake NODENAME=rabbit@localhost, or keep the host name")
	}
	return err
}
