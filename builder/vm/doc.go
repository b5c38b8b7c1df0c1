// Package vm bakes inside one virtual machine: it boots a disk under the marker identity, waits until the machine answers
// by SSH, runs steps in it with live output, and takes checkpoints of its disks between them.
//
// The machine gets a one-time key in two ways, and one of them is understood by every system that is baked: as a systemd
// credential in its firmware tables (ssh.authorized_keys.root, systemd 252 and later: Debian 12, EL 9), and on a NoCloud
// seed for cloud-init (every vendor's cloud image). So no image has to be opened to get in.
//
// A checkpoint is what the disks hold after the guest has synced, or frozen, its file systems: a later boot finds what a
// power cut at that moment would have left, which journaling file systems and databases are made for. The key is not in it.
package vm
