package rewriters

import (
	"context"

	"goldsmith/firstboot/text/ini"
)

// cinder owns where volumes are served, and, when the machine is renamed, host@backend in every row.
func cinder() Rewriter {
	return Rewriter{
		Name: "cinder", Short: "addresses and URLs of cinder; its services and volumes", Phase: Stack,
		Units: []string{"cinder-api.service", "cinder-scheduler.service", "cinder-volume.service", "cinder-backup.service",
			"openstack-cinder-api.service", "openstack-cinder-scheduler.service", "openstack-cinder-volume.service", "openstack-cinder-backup.service"},
		Sweeps: sweeps(ini.Codec, "/etc/cinder/cinder.conf", "/etc/cinder/cinder.conf.d/*.conf"),
		Owns: []Place{
			{Where: "cinder.services, volumes, backups, groups, consistencygroups, image_volume_cache_entries", Key: "host", Why: "host@backend#pool"},
			{Where: "cinder.volumes, snapshots", Key: "provider_location", Why: "the portal of an exported volume"},
			{Where: "cinder.volume_attachment", Key: "attached_host, connector, connection_info", Why: "who has it, and where it is found"},
		},
		Leaves: []Place{
			{Where: "cinder.services, volumes, groups, consistencygroups, image_volume_cache_entries", Key: "cluster_name", Why: "set by cinder's option cluster, for several machines with one store"},
			{Where: "cinder.volumes, snapshots", Key: "provider_id, provider_auth", Why: "how the store knows a volume; not the machine's"},
			{Where: "cinder.volumes", Key: "service_uuid", Why: "the row of cinder.services, which stays"},
			{Where: "target IQNs of volumes", Why: "named after the volume; two clones meet only if one looks for the other's portal"},
			{Where: "/var/lib/cinder/cinder-volumes", Why: "a loop file without identity"},
			{Where: "/etc/cinder/nfs_shares, /etc/fstab, /etc/exports", Why: "name other machines"},
		},
		Plan: planCinder,
	}
}

func planCinder(ctx context.Context, s *Scene) error {
	if local, err := s.keepsDatabase("/etc/cinder/cinder.conf", "[database] connection"); err != nil || !local {
		return err
	}
	const why = "names the golden machine"
	id, host := []string{"id"}, []string{"host"}
	err := s.followRows(ctx,
		rowSet{schema: "cinder", table: "volumes", key: id, columns: []string{"provider_location"}, rule: Any, why: why},
		rowSet{schema: "cinder", table: "snapshots", key: id, columns: []string{"provider_location"}, rule: Any, why: why, optional: true},
		rowSet{schema: "cinder", table: "volume_attachment", key: id, columns: []string{"connector", "connection_info"}, rule: JSONText, why: why})
	if err != nil || !s.nameMoved() {
		return err
	}
	return s.followRows(ctx,
		rowSet{schema: "cinder", table: "services", key: id, columns: host, rule: HostAt, why: why},
		rowSet{schema: "cinder", table: "volumes", key: id, columns: host, rule: HostAt, why: why},
		rowSet{schema: "cinder", table: "volume_attachment", key: id, columns: []string{"attached_host"}, rule: Name, why: why},
		rowSet{schema: "cinder", table: "backups", key: id, columns: host, rule: HostAt, why: why, optional: true},
		rowSet{schema: "cinder", table: "groups", key: id, columns: host, rule: HostAt, why: why, optional: true},
		rowSet{schema: "cinder", table: "consistencygroups", key: id, columns: host, rule: HostAt, why: why, optional: true},
		rowSet{schema: "cinder", table: "image_volume_cache_entries", key: id, columns: host, rule: HostAt, why: why, optional: true})
}
