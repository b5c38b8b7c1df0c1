package seal

// A Left is something that other tools reset and goldsmith leaves alone.
type Left struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// LeftAlone has no operation, on purpose.
var LeftAlone = []Left{
	{"backup files (*.bak, *~)", "somebody may need them; goldsmith audit names those that hold the identity"},
	{"certificates and keys below /etc/pki and /etc/ssl", "services that name them would not start; firstboot issues anew what carries the identity, goldsmith audit names the rest"},
	{"crontabs", "they are configuration: packstack's rotate keys and purge databases"},
	{"firewall rules", "packstack's are needed; firstboot changes the addresses in them"},
	{"UUIDs of file systems, partitions and LVM", "fstab, boot loader and initramfs name them, and two clones never share a disk"},
	{"connections of NetworkManager", "a bridge such as br-ex may be described nowhere else; firstboot changes what is in them"},
	{"names of boot entries with the old machine id", "a boot loader that finds them under another name does not boot"},
	{"iSCSI targets (/etc/target, /etc/tgt)", "cinder's volumes are served through them; initiators find them by the clone's address"},
	{"etcd, corosync, galera, ceph", "a member without its state is no member; leave clusters out of golden images, or make them on the clone"},
	{"user accounts", "which of them stay is for the owner of the image to say"},
	{"scripts of one's own", "they are steps of a recipe"},
}
