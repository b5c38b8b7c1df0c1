package check

import (
	"context"
	"fmt"

	"goldsmith/firstboot/report"
	"goldsmith/firstboot/rewriters"
)

// kernelName asks the running kernel for its name.
func kernelName() Check {
	return Check{Name: "hostname", Asks: "the kernel has the clone's name", Phase: rewriters.Local, Ask: askKernelName}
}

func askKernelName(_ context.Context, s *rewriters.Scene) (report.Verdict, string) {
	if !s.Host.Running() {
		return report.Skip, "a tree has no kernel"
	}
	now, err := s.Host.KernelHostname()
	if err != nil {
		return report.Fail, err.Error()
	}
	if now != s.To.Hostname && now != s.To.FQDN() {
		return report.Fail, fmt.Sprintf("it says %q, not %q", now, s.To.Hostname)
	}
	return report.Pass, ""
}
