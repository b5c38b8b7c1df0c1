package rewriters

import "goldsmith/firstboot/text/ini"

// heat follows the identity in the orchestration service's configuration: the URLs that VMs call back are public.
func heat() Rewriter {
	const f = "/etc/heat/heat.conf"
	return Rewriter{
		Name: "heat", Short: "addresses and URLs of heat", Phase: Stack,
		Units: []string{"heat-api.service", "heat-api-cfn.service", "heat-engine.service", "openstack-heat-api.service",
			"openstack-heat-api-cfn.service", "openstack-heat-engine.service"},
		Settings: []Setting{
			{File: f, Codec: ini.Codec, Key: "[DEFAULT] heat_metadata_server_url", Rule: PublicURL, Why: "VMs call it"},
			{File: f, Codec: ini.Codec, Key: "[DEFAULT] heat_waitcondition_server_url", Rule: PublicURL, Why: "VMs call it"},
		},
		Sweeps: sweeps(ini.Codec, f),
		Leaves: []Place{{Where: f, Key: "[DEFAULT] auth_encryption_key", Why: "stacks in the database are encrypted with it"}},
	}
}

// telemetry follows the identity in gnocchi, aodh and ceilometer.
func telemetry() Rewriter {
	return Rewriter{
		Name: "telemetry", Short: "addresses and URLs of gnocchi, aodh and ceilometer", Phase: Stack,
		Units: []string{"gnocchi-metricd.service", "openstack-gnocchi-metricd.service", "openstack-gnocchi-statsd.service",
			"openstack-aodh-evaluator.service", "openstack-aodh-listener.service", "openstack-aodh-notifier.service",
			"openstack-ceilometer-central.service", "openstack-ceilometer-notification.service", "openstack-ceilometer-compute.service"},
		Sweeps: sweeps(ini.Codec, "/etc/gnocchi/gnocchi.conf", "/etc/aodh/aodh.conf", "/etc/ceilometer/ceilometer.conf"),
	}
}

// swift makes the proxy listen where its endpoint says: baked on loopback, it does not hear anybody who reads the catalogue.
func swift() Rewriter {
	return Rewriter{
		Name: "swift", Short: "listening addresses of swift", Phase: Stack,
		Units: []string{"swift-proxy.service", "openstack-swift-proxy.service"},
		Settings: []Setting{{File: "/etc/swift/proxy-server.conf", Codec: ini.Codec, Key: "[DEFAULT] bind_ip", Rule: everyAddress,
			Why: "the proxy must hear who reads its public endpoint, and its own machine"}},
		Sweeps: sweeps(ini.Codec, "/etc/swift/*-server.conf"),
		Leaves: []Place{
			{Where: "/etc/swift/*.ring.gz, *.builder", Why: "binary; bake rings on 127.0.0.1, which is right on every clone"},
			{Where: "/etc/rsyncd.conf", Key: "address", Why: "where the ring says: 127.0.0.1"},
			{Where: "/etc/swift/swift.conf", Key: "swift_hash_path_suffix", Why: "objects on disk are placed by it"},
		},
	}
}

// everyAddress turns the loopback, or an address that was ours, into all.
func everyAddress(s *Scene, was string) (string, error) {
	if Loopback(was) || s.Old.Host(was) {
		return "0.0.0.0", nil
	}
	return was, nil
}
