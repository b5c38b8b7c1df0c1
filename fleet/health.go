package fleet

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"goldsmith/firstboot/report"
)

// faces are the doors of stacks, in the order in which they are told: where the imprint names the stack, something listens there.
// Stacks that may also be a node without a door of its own, such as nova and OpenNebula, are not among them.
var faces = []struct{ stack, port string }{
	{"keystone", "5000"}, {"glance", "9292"}, {"placement", "8778"}, {"horizon", "80"}, {"ovirt", "443"},
}

// knockTime bounds a look at the stacks of all clones, so that list stays quick beside a clone that swallows packets.
const knockTime = time.Second

// Knock fills in, for clones that are ready, which of their stacks' doors are open: the image's stacks, at the clone's own address, in
// the clones' network. It is a knock and no proof; that is what verify is for. Clones on another host are left out, for each knock
// would be a conversation with it.
func (s *State) Knock(ctx context.Context, all []Standing) {
	imprint, err := s.Imprint()
	if err != nil || s.Network.Host != "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, knockTime)
	defer cancel()
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range all {
		if all[i].State != Condition(report.Ready) || !all[i].Address.IsValid() {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			all[i].knock(ctx, imprint.Stacks, s.Network.Dial)
		})
	}
	wg.Wait()
}

func (s *Standing) knock(ctx context.Context, stacks []string, dial func(ctx context.Context, network, addr string) (net.Conn, error)) {
	for _, f := range faces {
		if !slices.Contains(stacks, f.stack) {
			continue
		}
		conn, err := dial(ctx, "tcp", net.JoinHostPort(s.Address.String(), f.port))
		if err != nil {
			s.Down = append(s.Down, f.stack)
			continue
		}
		conn.Close()
		s.Up = append(s.Up, f.stack)
	}
}
