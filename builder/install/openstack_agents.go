package install

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// externalBridge makes the bridge of the network that leads out. Nothing is plugged into it: which link that would be is
// known on the clone.
func (o *openStack) externalBridge(ctx context.Context) error {
	if err := o.systemctl(ctx, "start", "openvswitch-switch.service"); err != nil {
		return err
	}
	return o.run(ctx, "", "ovs-vsctl", "--timeout=30", "--may-exist", "add-br", "br-ex", "--", "set", "bridge", "br-ex", "datapath_type=netdev")
}

// waitForAgents waits until what answers no requests has reported itself to those that do: nova's services, and neutron's
// agents. Their rows are in the image then, and each clone's services, which have the same names, go on with them.
func (o *openStack) waitForAgents(ctx context.Context) error {
	if !o.has("nova") {
		return nil
	}
	s, err := o.login(ctx)
	if err != nil {
		return err
	}
	for {
		missing, err := o.silent(ctx, s)
		if err == nil && len(missing) == 0 {
			break
		}
		o.wait("reports of " + strings.Join(missing, ", "))
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("no sign of life from %s", strings.Join(missing, ", ")), err)
		case <-time.After(time.Second):
		}
	}
	if !o.has("compute") {
		return nil
	}
	return o.run(ctx, "nova", "nova-manage", "cell_v2", "discover_hosts")
}

// silent lists the services and agents that have not reported yet.
func (o *openStack) silent(ctx context.Context, s *session) ([]string, error) {
	want := []string{"nova-conductor", "nova-scheduler", "neutron-openvswitch-agent", "neutron-dhcp-agent", "neutron-l3-agent", "neutron-metadata-agent"}
	if o.has("compute") {
		want = append(want, "nova-compute")
	}
	var nova struct {
		Services []struct{ Binary, State string }
	}
	var neutron struct {
		Agents []struct {
			Binary string
			Alive  bool
		}
	}
	err := errors.Join(s.get(ctx, o.public(8774, "/v2.1/os-services"), &nova), s.get(ctx, o.public(9696, "/v2.0/agents"), &neutron))
	there := func(name string) bool {
		for _, v := range nova.Services {
			if v.Binary == name && v.State == "up" {
				return true
			}
		}
		for _, a := range neutron.Agents {
			if a.Binary == name && a.Alive {
				return true
			}
		}
		return false
	}
	return slices.DeleteFunc(want, there), err
}
