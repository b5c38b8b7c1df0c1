package install

import "goldsmith/builder/recipe"

// cinderService is cinder without cinder-volume: volumes need a device mapper, which a container does not have.
func cinderService() service {
	return service{
		name: "cinder", kind: "volumev3", port: 8776, path: "/v3/%(project_id)s", databases: []string{"cinder"},
		packages: []string{"cinder-api", "cinder-scheduler"},
		units:    []string{"cinder-api.service", "cinder-scheduler.service"},
		sync:     [][]string{{"cinder-manage", "db", "sync"}},
		settings: cinderSettings, check: "/",
	}
}

func cinderSettings(o *openStack) []setting {
	const f = "cinder/cinder.conf"
	return joined(
		settingsIn(f, "DEFAULT", "host", recipe.ControllerName, "my_ip", o.id.Address.String(), "transport_url", o.broker(),
			"osapi_volume_workers", o.workers(), "glance_api_servers", "http://"+loopback+":9292"),
		settingsIn(f, "database", "connection", o.database("cinder", "cinder")),
		o.tokens(f, "cinder"),
		settingsIn(f, "service_user", "send_service_user_token", "true"),
		o.credentials(f, "service_user", "cinder"),
	)
}
