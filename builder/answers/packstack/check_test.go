package packstack

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/answers/lint"
)

// article is what the article changes in the generated file, with everything that would otherwise be warned about.
const article = `# answers
[general]
CONFIG_CONTROLLER_HOST=127.0.0.1
CONFIG_COMPUTE_HOSTS=127.0.0.1
CONFIG_NETWORK_HOSTS=127.0.0.1
CONFIG_AMQP_HOST=127.0.0.1
CONFIG_MARIADB_HOST=127.0.0.1
CONFIG_REDIS_HOST=127.0.0.1
CONFIG_NEUTRON_ML2_TYPE_DRIVERS=vxlan,flat
CONFIG_NEUTRON_ML2_TENANT_NETWORK_TYPES=vxlan
CONFIG_NEUTRON_OVS_BRIDGE_MAPPINGS=extnet:br-ex
CONFIG_NEUTRON_OVS_BRIDGE_IFACES=br-ex:ens192
CONFIG_NEUTRON_OVS_EXTERNAL_PHYSNET=extnet
CONFIG_NEUTRON_ML2_MECHANISM_DRIVERS=openvswitch
CONFIG_NEUTRON_L2_AGENT=openvswitch
CONFIG_PROVISION_DEMO=n
`

// lines of article that the cases replace.
const (
	comment    = 1
	section    = 2
	controller = 3
	compute    = 4
	network    = 5
	types      = 9
	tenant     = 10
	mappings   = 11
	ifaces     = 12
	physnet    = 13
	drivers    = 14
	agent      = 15
	demo       = 16
	end        = 17
)

// with returns article with some lines replaced; line 17 is behind the last one.
func with(lines map[int]string) string {
	list := strings.Split(strings.TrimSuffix(article, "\n"), "\n")
	for n, text := range lines {
		if n > len(list) {
			list = append(list, text)
			continue
		}
		list[n-1] = text
	}
	return strings.Join(list, "\n") + "\n"
}

func model(t testing.TB, release string) *Model {
	t.Helper()
	m, err := ModelFor(release)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// found lists the findings as "line severity code key", without the one that every short file has.
func found(r *lint.Report) []string {
	var out []string
	for _, f := range r.Findings {
		if f.Code != "missing-password" {
			out = append(out, strings.TrimSpace(fmt.Sprintf("%d %s %s %s", f.Line, f.Severity, f.Code, f.Key)))
		}
	}
	return out
}

func TestTheArticlesAnswersAreRight(t *testing.T) {
	p, err := PresetFor("clone-aio", "ens192")
	if err != nil {
		t.Fatal(err)
	}
	for _, release := range Releases() {
		if got := found(Check([]byte(article), model(t, release), p)); len(got) > 0 {
			t.Errorf("%s: %q", release, got)
		}
	}
}

// broken holds files with one mistake each, and where it must be found.
var broken = map[string]struct {
	data string
	want []string
}{
	"unknown key":               {with(map[int]string{end: "CONFIG_NOVA_FOO=1"}), []string{"17 error unknown-key CONFIG_NOVA_FOO"}},
	"key without its prefix":    {with(map[int]string{end: "HEAT_INSTALL=n"}), []string{"17 error unknown-key HEAT_INSTALL"}},
	"exported key":              {with(map[int]string{end: "export CONFIG_HEAT_INSTALL=n"}), []string{"17 error unknown-key export CONFIG_HEAT_INSTALL"}},
	"indented key":              {with(map[int]string{demo: "  CONFIG_PROVISION_DEMO=n"}), []string{"0 warning demo CONFIG_PROVISION_DEMO", "16 error swallowed-key CONFIG_PROVISION_DEMO"}},
	"key behind a tab":          {with(map[int]string{end: "\tCONFIG_DEBUG_MODE: y"}), []string{"17 error swallowed-key CONFIG_DEBUG_MODE"}},
	"indented text":             {with(map[int]string{end: "  and more"}), []string{"17 error continuation CONFIG_PROVISION_DEMO"}},
	"indented section":          {with(map[int]string{end: " [more]"}), []string{"17 error swallowed-section"}},
	"first key indented":        {with(map[int]string{controller: " CONFIG_CONTROLLER_HOST=127.0.0.1"}), []string{"3 warning indented CONFIG_CONTROLLER_HOST"}},
	"byte order mark":           {"\ufeff" + article, []string{"1 error bom"}},
	"non-ASCII comment":         {with(map[int]string{comment: "# \u043e\u0442\u0432\u0435\u0442\u044b"}), []string{"1 error non-ascii"}},
	"non-ASCII value":           {with(map[int]string{end: "CONFIG_KEYSTONE_REGION=M\u00fcnchen"}), []string{"17 error non-ascii"}},
	"non-breaking space":        {with(map[int]string{demo: "CONFIG_PROVISION_DEMO=n\u00a0"}), []string{"16 error non-ascii"}},
	"cp1251":                    {with(map[int]string{comment: "# \xee\xf2"}), []string{"1 error not-utf8"}},
	"CRLF":                      {strings.ReplaceAll(article, "\n", "\r\n"), []string{"1 warning crlf"}},
	"one CRLF":                  {with(map[int]string{demo: "CONFIG_PROVISION_DEMO=n\r"}), []string{"16 warning crlf"}},
	"lone carriage return":      {with(map[int]string{comment: "# a\rCONFIG_X=1"}), []string{"1 error stray-cr", "2 error no-section", "2 error unknown-key CONFIG_X"}},
	"NUL in a comment":          {with(map[int]string{comment: "# \x00"}), []string{"1 warning nul"}},
	"NUL in a value":            {with(map[int]string{end: "CONFIG_KEYSTONE_REGION=a\x00"}), []string{"17 error nul"}},
	"control character":         {with(map[int]string{end: "CONFIG_KEYSTONE_REGION=a\x1bb"}), []string{"17 error control-char"}},
	"duplicate":                 {with(map[int]string{end: "CONFIG_PROVISION_DEMO=y"}), []string{"17 error dup-key CONFIG_PROVISION_DEMO"}},
	"duplicate in other case":   {with(map[int]string{end: "config_provision_demo=y"}), []string{"17 error dup-key config_provision_demo", "17 warning key-case config_provision_demo"}},
	"no delimiter":              {with(map[int]string{end: "CONFIG_DEBUG_MODE"}), []string{"17 error no-delimiter"}},
	"no key":                    {with(map[int]string{end: "=y"}), []string{"17 error no-delimiter"}},
	"no section":                {with(map[int]string{section: "#"}), []string{"3 error no-section"}},
	"section in other case":     {with(map[int]string{section: "[General]"}), []string{"0 error no-section", "2 error wrong-section"}},
	"empty file":                {"", []string{"0 error no-section", "0 warning demo CONFIG_PROVISION_DEMO", "0 warning missing-host"}},
	"section twice":             {with(map[int]string{end: "[general]"}), []string{"17 error dup-section"}},
	"text behind the section":   {with(map[int]string{section: "[general] # all"}), []string{"2 warning section-junk"}},
	"other section":             {with(map[int]string{end: "[notes]"}), []string{"17 warning extra-section"}},
	"key in another section":    {with(map[int]string{end: "[notes]\nCONFIG_DEBUG_MODE=y"}), []string{"17 warning extra-section", "18 error unread-key CONFIG_DEBUG_MODE"}},
	"default section":           {with(map[int]string{end: "[DEFAULT]"}), []string{"17 warning default-section"}},
	"bad option":                {with(map[int]string{end: "CONFIG_GLANCE_BACKEND=ceph"}), []string{"17 error bad-option CONFIG_GLANCE_BACKEND"}},
	"option in other case":      {with(map[int]string{demo: "CONFIG_PROVISION_DEMO=N"}), []string{"16 error bad-option CONFIG_PROVISION_DEMO"}},
	"one bad item in a list":    {with(map[int]string{types: "CONFIG_NEUTRON_ML2_TYPE_DRIVERS=vxlan,flatt"}), []string{"9 error bad-option CONFIG_NEUTRON_ML2_TYPE_DRIVERS"}},
	"empty option":              {with(map[int]string{end: "CONFIG_HEAT_INSTALL="}), []string{"17 error empty CONFIG_HEAT_INSTALL"}},
	"virtualization type":       {with(map[int]string{end: "CONFIG_NOVA_LIBVIRT_VIRT_TYPE=xen"}), []string{"17 error bad-option CONFIG_NOVA_LIBVIRT_VIRT_TYPE"}},
	"y or n that is neither":    {with(map[int]string{end: "CONFIG_CINDER_DB_PURGE_ENABLE=maybe"}), []string{"17 error bad-option CONFIG_CINDER_DB_PURGE_ENABLE"}},
	"no neutron":                {with(map[int]string{end: "CONFIG_NEUTRON_INSTALL=n"}), []string{"9 warning moot CONFIG_NEUTRON_ML2_TYPE_DRIVERS", "17 error bad-option CONFIG_NEUTRON_INSTALL"}[1:]},
	"port that is a word":       {with(map[int]string{end: "CONFIG_REDIS_PORT=redis"}), []string{"17 error bad-port CONFIG_REDIS_PORT"}},
	"port 65535":                {with(map[int]string{end: "CONFIG_REDIS_PORT=65535"}), []string{"17 error bad-port CONFIG_REDIS_PORT"}},
	"port -1":                   {with(map[int]string{end: "CONFIG_REDIS_PORT=-1"}), []string{"17 error bad-port CONFIG_REDIS_PORT"}},
	"port 70000":                {with(map[int]string{end: "CONFIG_REDIS_PORT=70000"}), []string{"17 error bad-port CONFIG_REDIS_PORT"}},
	"whole number":              {with(map[int]string{end: "CONFIG_SWIFT_STORAGE_ZONES=1.5"}), []string{"17 error bad-number CONFIG_SWIFT_STORAGE_ZONES"}},
	"number":                    {with(map[int]string{end: "CONFIG_NOVA_SCHED_RAM_ALLOC_RATIO=1,5"}), []string{"17 error bad-number CONFIG_NOVA_SCHED_RAM_ALLOC_RATIO"}},
	"size":                      {with(map[int]string{end: "CONFIG_SWIFT_STORAGE_SIZE=big"}), []string{"17 error bad-size CONFIG_SWIFT_STORAGE_SIZE"}},
	"device":                    {with(map[int]string{end: "CONFIG_SWIFT_STORAGES=sdb"}), []string{"17 error bad-path CONFIG_SWIFT_STORAGES"}},
	"relative directory":        {with(map[int]string{end: "CONFIG_SSL_CERT_DIR=packstackca"}), []string{"17 error bad-path CONFIG_SSL_CERT_DIR"}},
	"NFS export by name":        {with(map[int]string{end: "CONFIG_CINDER_BACKEND=nfs\nCONFIG_CINDER_NFS_MOUNTS=nas:/vol"}), []string{"18 error bad-export CONFIG_CINDER_NFS_MOUNTS"}},
	"missing NFS export":        {with(map[int]string{end: "CONFIG_CINDER_BACKEND=nfs"}), []string{"0 error missing CONFIG_CINDER_NFS_MOUNTS"}},
	"missing NetApp login":      {with(map[int]string{end: "CONFIG_CINDER_BACKEND=netapp\nCONFIG_CINDER_NETAPP_PASSWORD=x\nCONFIG_CINDER_NETAPP_HOSTNAME='n'\nCONFIG_CINDER_NETAPP_VSERVER=v"}), []string{"0 error missing CONFIG_CINDER_NETAPP_LOGIN"}},
	"web service path":          {with(map[int]string{end: "CONFIG_CINDER_BACKEND=netapp\nCONFIG_CINDER_NETAPP_STORAGE_FAMILY=eseries\nCONFIG_CINDER_NETAPP_LOGIN=l\nCONFIG_CINDER_NETAPP_PASSWORD=x\nCONFIG_CINDER_NETAPP_HOSTNAME=n\nCONFIG_CINDER_NETAPP_WEBSERVICE_PATH=devmgr"}), []string{"22 error bad-value CONFIG_CINDER_NETAPP_WEBSERVICE_PATH"}},
	"vCenter by name":           {with(map[int]string{end: "CONFIG_VMWARE_BACKEND=y\nCONFIG_VCENTER_HOST=vc"}), []string{"18 error bad-address CONFIG_VCENTER_HOST"}},
	"host that is none":         {with(map[int]string{controller: "CONFIG_CONTROLLER_HOST=10.0.0.256"}), []string{"3 error bad-host CONFIG_CONTROLLER_HOST"}},
	"host with a port":          {with(map[int]string{controller: "CONFIG_CONTROLLER_HOST=127.0.0.1:22"}), []string{"3 error bad-host CONFIG_CONTROLLER_HOST"}},
	"list with a hole":          {with(map[int]string{compute: "CONFIG_COMPUTE_HOSTS=127.0.0.1,"}), []string{"4 error bad-host CONFIG_COMPUTE_HOSTS"}},
	"empty host":                {with(map[int]string{network: "CONFIG_NETWORK_HOSTS="}), []string{"5 error empty-host CONFIG_NETWORK_HOSTS"}},
	"missing host":              {with(map[int]string{network: "#"}), []string{"0 warning missing-host"}},
	"address in the image":      {with(map[int]string{compute: "CONFIG_COMPUTE_HOSTS=10.77.237.155"}), []string{"4 warning baked-address CONFIG_COMPUTE_HOSTS"}},
	"empty password":            {with(map[int]string{end: "CONFIG_MARIADB_PW="}), []string{"17 error empty-password CONFIG_MARIADB_PW"}},
	"placeholder left":          {with(map[int]string{end: "CONFIG_MARIADB_PW=PW_PLACEHOLDER"}), []string{"17 warning placeholder CONFIG_MARIADB_PW"}},
	"one password for all":      {with(map[int]string{end: "CONFIG_DEFAULT_PASSWORD=secret\nCONFIG_MARIADB_PW=PW_PLACEHOLDER"}), []string{"18 warning placeholder CONFIG_MARIADB_PW"}},
	"placeholder that stays":    {with(map[int]string{end: "CONFIG_TROVE_INSTALL=y\nCONFIG_TROVE_NOVA_USER=admin\nCONFIG_TROVE_NOVA_PW=PW_PLACEHOLDER"}), []string{"19 error placeholder CONFIG_TROVE_NOVA_PW"}},
	"password with a sign":      {with(map[int]string{end: "CONFIG_MARIADB_PW=a@b"}), []string{"17 error unsafe-secret CONFIG_MARIADB_PW"}},
	"password with a quote":     {with(map[int]string{end: "CONFIG_KEYSTONE_ADMIN_PW=it's"}), []string{"17 error unsafe-secret CONFIG_KEYSTONE_ADMIN_PW"}},
	"password with a dollar":    {with(map[int]string{end: "CONFIG_NOVA_DB_PW=a$b"}), []string{"17 error unsafe-secret CONFIG_NOVA_DB_PW"}},
	"hiera in a password":       {with(map[int]string{end: "CONFIG_RH_USER=u\nCONFIG_RH_PW=a%{b}c"}), []string{"18 error interpolation CONFIG_RH_PW"}},
	"hiera in a value":          {with(map[int]string{end: "CONFIG_KEYSTONE_REGION=%{::domain}"}), []string{"17 warning interpolation CONFIG_KEYSTONE_REGION"}},
	"key that is a number":      {with(map[int]string{end: "CONFIG_HEAT_INSTALL=y\nCONFIG_HEAT_AUTH_ENC_KEY=1234567890123456"}), []string{"18 error replaced CONFIG_HEAT_AUTH_ENC_KEY"}},
	"key of odd length":         {with(map[int]string{end: "CONFIG_HEAT_INSTALL=y\nCONFIG_HEAT_AUTH_ENC_KEY=abc"}), []string{"18 warning odd-length CONFIG_HEAT_AUTH_ENC_KEY"}},
	"quotes":                    {with(map[int]string{demo: `CONFIG_PROVISION_DEMO="n"`}), []string{"16 error quoted CONFIG_PROVISION_DEMO"}},
	"quotes where none checks":  {with(map[int]string{end: `CONFIG_KEYSTONE_REGION='RegionOne'`}), []string{"17 error quoted CONFIG_KEYSTONE_REGION"}},
	"inline comment":            {with(map[int]string{demo: "CONFIG_PROVISION_DEMO=n # none"}), []string{"16 error inline-comment CONFIG_PROVISION_DEMO"}},
	"comment for a value":       {with(map[int]string{end: "CONFIG_NTP_SERVERS=; none"}), []string{"17 error inline-comment CONFIG_NTP_SERVERS"}},
	"moot value":                {with(map[int]string{end: "CONFIG_MANILA_BACKEND=netapp"}), []string{"17 warning moot CONFIG_MANILA_BACKEND"}},
	"moot password":             {with(map[int]string{end: "CONFIG_KEYSTONE_LDAP_USER_PASSWORD=x"}), []string{"17 warning moot CONFIG_KEYSTONE_LDAP_USER_PASSWORD"}},
	"OVN left on":               {with(map[int]string{agent: "#", drivers: "#", types: "#", tenant: "#"}), []string{"12 warning moot CONFIG_NEUTRON_OVS_BRIDGE_IFACES"}},
	"OVN with other drivers":    {with(map[int]string{agent: "#", ifaces: "#"}), []string{"10 error replaced CONFIG_NEUTRON_ML2_TENANT_NETWORK_TYPES", "14 error replaced CONFIG_NEUTRON_ML2_MECHANISM_DRIVERS"}},
	"OVN with VPN":              {with(map[int]string{agent: "CONFIG_NEUTRON_VPNAAS=y", ifaces: "#", drivers: "#", types: "#", tenant: "#"}), []string{"15 error replaced CONFIG_NEUTRON_VPNAAS"}},
	"drivers without the agent": {with(map[int]string{drivers: "CONFIG_NEUTRON_ML2_MECHANISM_DRIVERS=l2population"}), []string{"14 error replaced CONFIG_NEUTRON_ML2_MECHANISM_DRIVERS"}},
	"tenant type without type":  {with(map[int]string{types: "CONFIG_NEUTRON_ML2_TYPE_DRIVERS=flat"}), []string{"10 error mismatch CONFIG_NEUTRON_ML2_TENANT_NETWORK_TYPES"}},
	"geneve with openvswitch":   {with(map[int]string{types: "#", tenant: "#"}), []string{"15 warning no-tunnels CONFIG_NEUTRON_L2_AGENT"}},
	"mapping that is none":      {with(map[int]string{mappings: "CONFIG_NEUTRON_OVS_BRIDGE_MAPPINGS=extnet:br-ex,br-x"}), []string{"11 error bad-pair CONFIG_NEUTRON_OVS_BRIDGE_MAPPINGS"}},
	"mapping that stands twice": {with(map[int]string{mappings: "CONFIG_NEUTRON_OVS_BRIDGE_MAPPINGS=extnet:br-ex,other:br-ex"}), []string{"11 error bad-pair CONFIG_NEUTRON_OVS_BRIDGE_MAPPINGS"}},
	"bridge without a mapping":  {with(map[int]string{ifaces: "CONFIG_NEUTRON_OVS_BRIDGE_IFACES=br-eth1:ens192"}), []string{"12 error mismatch CONFIG_NEUTRON_OVS_BRIDGE_IFACES"}},
	"interface that is none":    {with(map[int]string{ifaces: "CONFIG_NEUTRON_OVS_BRIDGE_IFACES=br-ex:a-name-that-is-too-long"}), []string{"12 error bad-interface CONFIG_NEUTRON_OVS_BRIDGE_IFACES"}},
	"external net not mapped":   {with(map[int]string{physnet: "CONFIG_NEUTRON_OVS_EXTERNAL_PHYSNET=physnet1"}), []string{"13 error mismatch CONFIG_NEUTRON_OVS_EXTERNAL_PHYSNET"}},
	"demo left on":              {with(map[int]string{demo: "CONFIG_PROVISION_DEMO=y"}), []string{"16 warning demo CONFIG_PROVISION_DEMO"}},
	"demo by default":           {with(map[int]string{demo: "#"}), []string{"0 warning demo CONFIG_PROVISION_DEMO"}},
	"swift without Swift":       {with(map[int]string{end: "CONFIG_GLANCE_BACKEND=swift\nCONFIG_SWIFT_INSTALL=n"}), []string{"17 error replaced CONFIG_GLANCE_BACKEND"}},
	"Sahara without Heat":       {with(map[int]string{end: "CONFIG_SAHARA_INSTALL=y\nCONFIG_HEAT_INSTALL=n"}), []string{"18 error replaced CONFIG_HEAT_INSTALL"}},
	"deprecated name":           {with(map[int]string{end: "CONFIG_MYSQL_USER=root"}), []string{"17 warning deprecated CONFIG_MYSQL_USER"}},
	"deprecated name, empty":    {with(map[int]string{end: "CONFIG_MYSQL_USER="}), []string{"17 warning deprecated CONFIG_MYSQL_USER"}},
	"deprecated beside new":     {with(map[int]string{end: "CONFIG_NOVA_API_HOST=10.0.0.1"}), []string{"17 error deprecated-ignored CONFIG_NOVA_API_HOST"}},
	"deprecated that disagree": {with(map[int]string{network: "CONFIG_NEUTRON_L3_HOSTS=127.0.0.1", end: "CONFIG_NEUTRON_DHCP_HOSTS=127.0.0.2"}),
		[]string{"5 warning deprecated CONFIG_NEUTRON_L3_HOSTS", "17 error deprecated-conflict CONFIG_NEUTRON_DHCP_HOSTS"}},
	"key in other case": {with(map[int]string{demo: "config_provision_demo=n"}), []string{"16 warning key-case config_provision_demo"}},
}

func TestCheckFindsEachMistake(t *testing.T) {
	for name, c := range broken {
		t.Run(name, func(t *testing.T) {
			got := found(Check([]byte(c.data), model(t, "17.0.0"), nil))
			slices.Sort(got)
			slices.Sort(c.want)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestCheckFindsAllAtOnce puts the line-sized mistakes into one file: each must still be found.
func TestCheckFindsAllAtOnce(t *testing.T) {
	var b strings.Builder
	b.WriteString("\ufeff# \u043e\n[General]\n")
	lines := []struct{ text, code string }{
		{"CONFIG_NOVA_FOO=1", "unknown-key"},
		{"CONFIG_HEAT_INSTALL=N", "bad-option"},
		{"CONFIG_REDIS_PORT=65535", "bad-port"},
		{"CONFIG_MARIADB_PW=", "empty-password"},
		{"CONFIG_NOVA_DB_PW=a@b", "unsafe-secret"},
		{"CONFIG_KEYSTONE_REGION='x'", "quoted"},
		{"CONFIG_DEBUG_MODE=n # no", "inline-comment"},
		{"CONFIG_GLANCE_DB_PW=PW_PLACEHOLDER", "placeholder"},
		{"CONFIG_CONTROLLER_HOST=10.0.0.300", "bad-host"},
		{"CONFIG_COMPUTE_HOSTS=10.0.0.3", "baked-address"},
		{"  CONFIG_PROVISION_DEMO=n", "swallowed-key"},
		{"CONFIG_HEAT_INSTALL=n", "dup-key"},
		{"CONFIG_SWIFT_INSTALL", "no-delimiter"},
		{"CONFIG_MYSQL_USER=root", "deprecated"},
		{"CONFIG_MANILA_BACKEND=netapp", "moot"},
		{"CONFIG_CINDER_VOLUMES_SIZE=5G\r", "crlf"},
		{"config_vnc_ssl_key=x", "key-case"},
	}
	for _, l := range lines {
		b.WriteString(l.text + "\n")
	}
	report := Check([]byte(b.String()), model(t, "17.0.0"), nil)
	for _, want := range append(lines, []struct{ text, code string }{
		{"", "bom"}, {"", "non-ascii"}, {"", "no-section"}, {"", "wrong-section"}, {"", "demo"}, {"", "missing-password"}, {"", "missing-host"},
	}...) {
		if !slices.ContainsFunc(report.Findings, func(f lint.Finding) bool { return f.Code == want.code }) {
			t.Errorf("%q: no finding %s", want.text, want.code)
		}
	}
}

// measured is what packstack 17.0.0 itself did with variants of the article's file, run with Python 3.6 semantics. What it
// rejects must be an error; what it takes must be none, unless it takes it for something else than what stands there.
func TestCheckAgreesWithPackstack(t *testing.T) {
	for name, c := range map[string]struct {
		data     string
		accepted bool
		silent   string // the error we raise although packstack accepts, since it reads something else or nothing
	}{
		"the article":          {data: article, accepted: true},
		"blanks round =":       {data: strings.ReplaceAll(article, "=", " = "), accepted: true},
		"colons":               {data: strings.ReplaceAll(article, "_DEMO=n", "_DEMO: n"), accepted: true},
		"CRLF":                 {data: strings.ReplaceAll(article, "\n", "\r\n"), accepted: true},
		"an empty value":       {data: with(map[int]string{end: "CONFIG_NTP_SERVERS="}), accepted: true},
		"a missing key":        {data: with(map[int]string{demo: ""}), accepted: true},
		"a percent sign":       {data: with(map[int]string{end: "CONFIG_MANILA_GENERIC_VOLUME_NAME_TEMPLATE=manila-share-%s"}), accepted: true},
		"another section":      {data: with(map[int]string{end: "[notes]\na=b"}), accepted: true},
		"deprecated names":     {data: strings.ReplaceAll(article, "CONFIG_MARIADB_HOST", "CONFIG_MYSQL_HOST"), accepted: true},
		"an indented key":      {data: with(map[int]string{demo: " CONFIG_PROVISION_DEMO=n"}), accepted: true, silent: "swallowed-key"},
		"an empty host":        {data: with(map[int]string{controller: "CONFIG_CONTROLLER_HOST="}), accepted: true, silent: "empty-host"},
		"an unknown key":       {data: with(map[int]string{end: "CONFIG_NOVA_FOO=1"}), accepted: true, silent: "unknown-key"},
		"a UTF-8 comment":      {data: with(map[int]string{comment: "# \u043e"}), accepted: true, silent: "non-ascii"}, // only in a UTF-8 locale
		"a byte order mark":    {data: "\ufeff" + article},
		"cp1251":               {data: with(map[int]string{comment: "# \xca"})},
		"a duplicate":          {data: with(map[int]string{end: "CONFIG_PROVISION_DEMO=n"})},
		"a duplicate in case":  {data: with(map[int]string{end: "config_provision_demo=n"})},
		"no =":                 {data: with(map[int]string{end: "CONFIG_DEBUG_MODE"})},
		"no section":           {data: with(map[int]string{section: ""})},
		"a capital section":    {data: with(map[int]string{section: "[General]"})},
		"quotes":               {data: with(map[int]string{demo: `CONFIG_PROVISION_DEMO="n"`})},
		"an inline comment":    {data: with(map[int]string{demo: "CONFIG_PROVISION_DEMO=n # c"})},
		"a capital N":          {data: with(map[int]string{demo: "CONFIG_PROVISION_DEMO=N"})},
		"an empty password":    {data: with(map[int]string{end: "CONFIG_MARIADB_PW="})},
		"a bad option":         {data: with(map[int]string{end: "CONFIG_CINDER_BACKEND=ceph"})},
		"a bad port":           {data: with(map[int]string{end: "CONFIG_REDIS_PORT=65535"})},
		"disagreeing old keys": {data: with(map[int]string{network: "CONFIG_NEUTRON_L3_HOSTS=127.0.0.1", end: "CONFIG_NEUTRON_DHCP_HOSTS=127.0.0.2"})},
	} {
		t.Run(name, func(t *testing.T) {
			var errors []string
			for _, f := range Check([]byte(c.data), model(t, "17.0.0"), nil).Findings {
				if f.Severity == lint.Error {
					errors = append(errors, f.Code)
				}
			}
			switch {
			case !c.accepted && len(errors) == 0:
				t.Error("packstack rejects it, and no error was found")
			case c.accepted && c.silent == "" && len(errors) > 0:
				t.Errorf("packstack accepts it, and errors were found: %q", errors)
			case c.silent != "" && !slices.Equal(errors, []string{c.silent}):
				t.Errorf("errors %q, want only %s", errors, c.silent)
			}
		})
	}
}

func TestCheckByRelease(t *testing.T) {
	for name, c := range map[string]struct {
		release, line string
		want          []string
	}{
		"Panko in Victoria":       {"17.0.0", "CONFIG_PANKO_INSTALL=y", nil},
		"Panko later":             {"26.0.0", "CONFIG_PANKO_INSTALL=y", []string{"17 warning removed-key CONFIG_PANKO_INSTALL"}},
		"keystone v2 in Victoria": {"17.0.0", "CONFIG_KEYSTONE_API_VERSION=v2.0", nil},
		"keystone v2 later":       {"26.0.0", "CONFIG_KEYSTONE_API_VERSION=v2.0", []string{"17 error bad-option CONFIG_KEYSTONE_API_VERSION"}},
		"linuxbridge later":       {"26.0.0", "CONFIG_CINDER_BACKEND=vmdk", []string{"17 error bad-option CONFIG_CINDER_BACKEND"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := found(Check([]byte(with(map[int]string{end: c.line})), model(t, c.release), nil))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if _, err := ModelFor("18.0.0"); err == nil || !strings.Contains(err.Error(), "17.0.0, 26.0.0") {
		t.Errorf("ModelFor(18.0.0) = %v, want an error that lists the releases", err)
	}
}

func TestCheckAgainstThePreset(t *testing.T) {
	p, err := PresetFor("clone-aio", "")
	if err != nil {
		t.Fatal(err)
	}
	data := with(map[int]string{agent: "#", drivers: "#", demo: "CONFIG_PROVISION_DEMO=y", ifaces: "CONFIG_NEUTRON_OVS_BRIDGE_IFACES=br-ex:eth7"})
	var got []string
	for _, f := range Check([]byte(data), model(t, "17.0.0"), p).Findings {
		if f.Code == "preset" {
			got = append(got, f.Key)
		}
	}
	want := []string{"CONFIG_NEUTRON_ML2_MECHANISM_DRIVERS", "CONFIG_NEUTRON_L2_AGENT", "CONFIG_PROVISION_DEMO"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := PresetFor("clone-all", ""); err == nil {
		t.Error("an unknown preset was taken")
	}
	if _, err := PresetFor("clone-aio", "ens 192"); err == nil {
		t.Error("a bad interface was taken")
	}
}

// TestCheckShowsNoSecret plants one word in every place where a password can stand.
func TestCheckShowsNoSecret(t *testing.T) {
	for _, line := range []string{
		"CONFIG_MARIADB_PW=hunter@2", "CONFIG_MARIADB_PWD=hunter2", "CONFIG_MARIADB_PW hunter2", "  CONFIG_MARIADB_PW=hunter2", "CONFIG_MARIADB_PW='hunter2'",
		"CONFIG_RH_USER=u\nCONFIG_RH_PW=%{hunter2}", "CONFIG_SATELLITE_URL=s\nCONFIG_SATELLITE_FLAGS=hunter2", "CONFIG_MYSQL_PW=hunter@2", "  hunter2",
		"CONFIG_HEAT_INSTALL=y\nCONFIG_HEAT_AUTH_ENC_KEY=hunter2",
	} {
		report := Check([]byte(with(map[int]string{end: line})), model(t, "17.0.0"), nil)
		if len(found(report)) == 0 {
			t.Errorf("%q: nothing found", line)
		}
		for _, f := range report.Findings {
			if strings.Contains(f.Message+f.Hint+f.Key, "hunter") {
				t.Errorf("%q: the secret is in %q", line, f.Message)
			}
		}
	}
}

func TestSuggestions(t *testing.T) {
	for line, want := range map[string]string{
		"CONFIG_CONTROLER_HOST=1":                "did you mean CONFIG_CONTROLLER_HOST?",
		"CONFIG_NEUTRON_OVS_BRIDGE_MAPPING=a:b":  "did you mean CONFIG_NEUTRON_OVS_BRIDGE_MAPPINGS?",
		"CONFIG_NUETRON_L2_AGENT=openvswitch":    "did you mean CONFIG_NEUTRON_L2_AGENT?",
		"PROVISION_DEMO=n":                       "write CONFIG_PROVISION_DEMO",
		"export CONFIG_KEYSTONE_REGION=x":        "write CONFIG_KEYSTONE_REGION",
		"CONFIG_SOMETHING_ENTIRELY_DIFFERENT=it": "",
	} {
		for _, f := range Check([]byte(with(map[int]string{end: line})), model(t, "17.0.0"), nil).Findings {
			if f.Code == "unknown-key" && f.Hint != want {
				t.Errorf("%s: hint %q, want %q", line, f.Hint, want)
			}
		}
	}
}

// FuzzCheck: no panic, and every finding stands in the file.
func FuzzCheck(f *testing.F) {
	for _, c := range broken {
		f.Add(c.data)
	}
	m := model(f, "17.0.0")
	p, _ := PresetFor("clone-aio", "")
	f.Fuzz(func(t *testing.T, data string) {
		lines := strings.Count(data, "\n") + strings.Count(data, "\r") + 1
		for _, x := range Check([]byte(data), m, p).Findings {
			if x.Line < 0 || x.Line > lines || x.Message == "" || x.Code == "" {
				t.Fatalf("finding %+v in a file of %d lines", x, lines)
			}
		}
	})
}
