package seal

// randomSeed: removed, not rewritten: one new value in the image would again be the same in all clones.
var randomSeed = Operation{
	Name:  "random-seed",
	Short: "seeds of the random number generator",
	Why:   "clones with one seed make the same keys",
	Remove: []string{"var/lib/systemd/random-seed", "var/lib/urandom/random-seed", "var/lib/misc/random-seed",
		"var/lib/random-seed", "etc/random-seed", "boot/efi/loader/random-seed", "efi/loader/random-seed", "boot/loader/random-seed"},
}
