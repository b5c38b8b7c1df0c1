package seal

// packageCache: archives that were installed, and lists that are old when the clone boots.
var packageCache = Operation{
	Name:  "package-cache",
	Short: "downloaded packages and lists of apt, dnf, yum, zypper",
	Remove: []string{"var/cache/apt/archives/*.deb", "var/cache/apt/archives/partial/*", "var/cache/apt/*.bin", "var/lib/apt/lists/*_*", "var/lib/apt/lists/partial/*",
		"var/cache/dnf/*", "var/cache/yum/*", "var/cache/zypp*/*", "var/cache/PackageKit/*", "var/lib/apt/periodic/*"},
}
