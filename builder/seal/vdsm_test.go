package seal

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestHostOfAnEngineForgets: what the engine issued stays on the keep-list, and a Gluster daemon with peers is left alone.
func TestHostOfAnEngineForgets(t *testing.T) {
	for name, c := range map[string]struct {
		op            Operation
		before, after map[string]string
	}{
		"vdsm": {vdsmHost,
			map[string]string{"etc/vdsm/vdsm.id": "x", "etc/vdsm/vdsm.conf": "[vars]", "etc/pki/vdsm/certs/vdsmcert.pem": "c", "var/lib/vdsm/persistence/netconf/nets/ovirtmgmt": "{}"},
			map[string]string{"etc/vdsm/vdsm.conf": "[vars]", "etc/pki/vdsm/certs/vdsmcert.pem": "c", "var/lib/vdsm/persistence/": ""}},
		"no Gluster": {gluster, map[string]string{"etc/x": ""}, map[string]string{"etc/x": ""}},
		"Gluster alone": {gluster, map[string]string{"var/lib/glusterd/glusterd.info": "UUID=1", "var/lib/glusterd/options": ""},
			map[string]string{"var/lib/glusterd/options": ""}},
		"a peer": {gluster, map[string]string{"var/lib/glusterd/glusterd.info": "UUID=1", "var/lib/glusterd/peers/2": "uuid=2"},
			map[string]string{"var/lib/glusterd/glusterd.info": "UUID=1", "var/lib/glusterd/peers/2": "uuid=2"}},
		"a volume": {gluster, map[string]string{"var/lib/glusterd/glusterd.info": "UUID=1", "var/lib/glusterd/vols/v/info": "type=2"},
			map[string]string{"var/lib/glusterd/glusterd.info": "UUID=1", "var/lib/glusterd/vols/v/info": "type=2"}},
	} {
		root, dir := plant(t, c.before)
		if _, err := Run(root, c.op, false); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.after, snapshot(t, dir)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
