package seal

// credentialSecret encrypts what systemd-creds stores (systemd-creds(1)).
var credentialSecret = Operation{
	Name:   "credential-secret",
	Short:  "key of systemd's stored credentials",
	Why:    "what one clone encrypts, every other could read",
	Remove: []string{"var/lib/systemd/credential.secret"},
}
