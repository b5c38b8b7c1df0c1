package seal

// snakeoil is off: Apache does not start without the files that its configuration names.
var snakeoil = Operation{
	Name:   "snakeoil",
	Short:  "self-signed certificate of the package ssl-cert",
	Off:    true,
	Why:    "services that name it do not start until it is made again: make-ssl-cert generate-default-snakeoil",
	Remove: []string{"etc/ssl/certs/ssl-cert-snakeoil.pem", "etc/ssl/private/ssl-cert-snakeoil.key"},
}
