package rewriters

import (
	"context"

	"goldsmith/firstboot/plan"
)

// hostname gives the machine its name before the network tells it to anybody. The running kernel took the baked name from
// /etc/hostname at its start, so both change.
func hostname() Rewriter {
	return Rewriter{
		Name: "hostname", Short: "host name in /etc/hostname and in the kernel", Phase: Local, Base: true,
		Owns: []Place{
			{Where: "/etc/hostname", Why: "static host name"},
			{Where: "kernel", Key: "hostname", Why: "the running machine's host name"},
			{Where: "/etc/mailname", Why: "what Debian's mailers call themselves"},
		},
		Settings: nil,
		Plan:     planHostname,
	}
}

func planHostname(_ context.Context, s *Scene) error {
	if s.To.Hostname == "" {
		return nil
	}
	if err := s.line("/etc/hostname", Name); err != nil {
		return err
	}
	if err := s.line("/etc/mailname", Name); err != nil {
		return err
	}
	if !s.Host.Running() {
		return nil
	}
	now, err := s.Host.KernelHostname()
	if err != nil {
		return err
	}
	want, _ := Name(s, now)
	if now == "localhost" || now == "(none)" {
		want = s.To.Hostname
	}
	s.Propose(plan.Change{Kind: plan.Hostname, Where: "kernel", Was: plan.Text(now), Want: plan.Text(want),
		Why: "the kernel took the baked name at its start"})
	return nil
}
