package rewriters

import "context"

// vdsm makes a host that no engine knows yet somebody of its own. A host of a hosted engine cannot be cloned: its place in the
// shared storage is its own, and a second one with the same number would break the leases that keep VMs from running twice.
func vdsm() Rewriter {
	const id = "/etc/vdsm/vdsm.id"
	return Rewriter{
		Name: "vdsm", Short: "id of an oVirt host; hosts of a hosted engine are refused", Phase: Local, Base: true,
		Units: []string{"vdsmd.service"},
		Owns:  []Place{{Where: id, Why: "who the host is to its engine; without it vdsm takes the board's UUID, which every clone has its own"}},
		Leaves: []Place{
			{Where: "/etc/pki/vdsm", Why: "issued by the engine when it adds the host; a copy is reported"},
			{Where: hostedEngine, Key: "host_id, sdUUID, vm_disk_id", Why: "a host of a hosted engine is refused: sanlock's host id and the storage's UUIDs are one machine's"},
		},
		Plan: func(_ context.Context, s *Scene) error {
			if !s.Rekey {
				return nil
			}
			if _, err := s.Host.Stat(hostedEngine); err == nil && !s.Keeps("ovirt/hosted-engine") {
				s.Danger(hostedEngine, "two hosts with one sanlock host id break the leases of the shared storage, and its UUIDs are one machine's: clone a host before hosted-engine --deploy")
			}
			if _, err := s.Host.Stat("/etc/pki/vdsm/certs/vdsmcert.pem"); err == nil {
				s.Note("/etc/pki/vdsm/certs/vdsmcert.pem", "the golden host's: the engine issues another when it adds this one")
			}
			return s.Remove(id, "the golden host's")
		},
	}
}

// hostedEngine is what hosted-engine --deploy leaves on a host.
const hostedEngine = "/etc/ovirt-hosted-engine/hosted-engine.conf"
