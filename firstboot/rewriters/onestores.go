package rewriters

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"goldsmith/firstboot/identity"
)

// datastoreRule follows hosts in datastores, and gives those on Vitastor an image prefix of the clone's own.
//
// Images are named <IMAGE_PREFIX>-<id>, and ids are equal in all clones: on one pool they would overwrite and delete each
// other's disks. It must happen before the first image: those that exist keep the name that their SOURCE holds.
func (o *oneScene) datastoreRule(ctx context.Context) (valueRule, error) {
	stores, err := o.vitastorStores(ctx)
	if err != nil {
		return nil, err
	}
	used := ""
	if len(stores) > 0 {
		if used, err = o.storeInUse(ctx, stores); err != nil {
			return nil, err
		}
	}
	return func(tag, was string) string {
		switch tag {
		case "BRIDGE_LIST", "HOST", "CEPH_HOST", "NFS_AUTO_HOST", "RSYNC_HOST", "GLUSTER_HOST", "ISCSI_HOST":
			return o.hostList(was)
		case "IMAGE_PREFIX": // only Vitastor's drivers have it
			return o.imagePrefix(was, used)
		}
		return was
	}, nil
}

// hostList follows each of several hosts with blanks between them, and leaves the blanks. Short names are hosts here, never words.
func (o *oneScene) hostList(was string) string {
	list := strings.Split(was, " ")
	for i, h := range list {
		list[i] = o.token(h)
	}
	return strings.Join(list, " ")
}

// vitastorStores returns the ids of datastores on Vitastor.
func (o *oneScene) vitastorStores(ctx context.Context) ([]string, error) {
	list, err := o.table(ctx, "datastore_pool")
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, r := range list {
		if strings.Contains(r["body"], "<TM_MAD><![CDATA[vitastor]]></TM_MAD>") {
			ids = append(ids, r["oid"])
		}
	}
	return ids, nil
}

// imagePrefix returns what shall stand for IMAGE_PREFIX: the one that the clone was given, else one that comes from its seed.
// It is set once, and again when the clone is given another; used names what is stored already.
func (o *oneScene) imagePrefix(was, used string) string {
	want := o.To.Prefix
	if want == "" {
		want = "one-" + hex.EncodeToString(o.SecretBytes("vitastor/prefix", 4))
	}
	given := slices.ContainsFunc(o.Old, func(id identity.Identity) bool { return id.Prefix != "" && id.Prefix == was })
	switch {
	case was == want || o.Keeps("vitastor/prefix") || !o.Rekey && o.To.Prefix == "" && !given:
		return was
	case used == "":
		return want
	case o.Rekey:
		o.Danger("IMAGE_PREFIX "+was, used+" is stored under it, and clones on one pool would write to it and delete it: remove it in the "+
			"golden image, or keep vitastor/prefix where each clone has a pool of its own")
	default:
		o.Note("IMAGE_PREFIX "+was, "kept: "+used+" is stored under it")
	}
	return was
}

// storeInUse names an image or a VM's disk that lies on one of the datastores.
func (o *oneScene) storeInUse(ctx context.Context, stores []string) (string, error) {
	images, err := o.table(ctx, "image_pool")
	if err != nil {
		return "", err
	}
	for _, r := range images {
		for _, id := range stores {
			if strings.Contains(r["body"], "<DATASTORE_ID>"+id+"</DATASTORE_ID>") {
				return "image " + r["name"], nil
			}
		}
	}
	vms, err := o.table(ctx, "vm_pool")
	if err != nil {
		return "", err
	}
	for _, r := range vms {
		if strings.Contains(r["body"], "<TM_MAD><![CDATA[vitastor]]></TM_MAD>") {
			return "a disk of VM " + r["name"], nil
		}
	}
	return "", nil
}
