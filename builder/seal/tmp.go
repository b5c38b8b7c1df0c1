package seal

// tmp: the keep-list holds what packstack put there and needs later.
var tmp = Operation{
	Name:   "tmp",
	Short:  "files in /tmp, /var/tmp and /run",
	Remove: []string{"tmp/*", "tmp/.[!.]*", "var/tmp/*", "var/tmp/.[!.]*", "run/*", "dev/shm/*"},
}
