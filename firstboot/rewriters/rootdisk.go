package rewriters

import (
	"context"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
)

// rootDisk lets a clone use all of a disk that is larger than the image. It is the last to be asked, and what it cannot do
// is a warning: a clone with a small disk is a clone all the same.
func rootDisk() Rewriter {
	return Rewriter{
		Name: "disk", Short: "partition, logical volume and root file system take all of a larger disk", Phase: Local, Base: true,
		Owns: []Place{{Where: "/", Key: "size", Why: "ext4, xfs or btrfs, on the disk, its last partition, or LVM there"}},
		Leaves: []Place{{Where: "file systems of other kinds", Why: "vfat, ntfs and the like cannot be made larger while they are in use, or at all; " +
			"nor can what lies before another partition"}},
		Plan: func(_ context.Context, s *Scene) error {
			if s.Policy.Disk == identity.KeepDisk {
				return nil
			}
			root, err := s.Host.Root()
			switch {
			case err != nil:
				s.Note("the root file system does not grow", err.Error())
			case root == nil || root.Full():
			case root.Refused != "":
				s.Note("the root file system takes "+root.String(), root.Refused)
			default:
				s.Propose(plan.Change{Kind: plan.Size, Where: "/", Was: plan.Text(root.String()), Want: plan.Text(root.Whole()),
					Why: "the disk is larger than the image: " + root.Chain(), Spare: true})
			}
			return nil
		},
	}
}
