package otopi

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/answers/lint"
)

func modelFor(t testing.TB, kind, release string) *Model {
	t.Helper()
	m, err := ModelFor(kind, release)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestGoodFilesOfBothEras(t *testing.T) {
	for name, m := range map[string]*Model{
		"engine-3.4": modelFor(t, EngineSetup, "3.4"), "engine-4.5": modelFor(t, EngineSetup, "4.5"),
		"hosted-3.4": modelFor(t, HostedEngine, "3.4"), "hosted-4.5": modelFor(t, HostedEngine, "4.5"),
	} {
		data, err := os.ReadFile(filepath.Join("testdata", name+".conf"))
		if err != nil {
			t.Fatal(err)
		}
		if r := Check(data, m); len(r.Findings) > 0 {
			t.Errorf("%s: %+v", name, r.Findings)
		}
	}
}

// good answers what engine-setup would ask for; the cases add their line as line 5.
const good = `[environment:default]
OVESETUP_CONFIG/fqdn=str:engine.example.net
OVESETUP_CONFIG/adminPassword=str:secret
OVESETUP_DIALOG/confirmSettings=bool:True
`

const hosted = "[environment:default]\nOVEHOSTED_NETWORK/fqdn=str:engine.example.net\n\n\n"

// broken holds files with one mistake each, with the finding that it must give.
var broken = map[string]struct {
	kind, release, data string
	want                string // "line severity code", several with a comma
}{
	"no type":                        {data: good + "OVESETUP_PKI/organization=example", want: "5 error no-type"},
	"address without a type":         {data: good + "OVESETUP_DB/host=fd00::1", want: "5 error no-type"},
	"bool without a type":            {data: good + "OVESETUP_DB/secured=False", want: "5 error no-type"},
	"unknown type":                   {data: good + "OVESETUP_PKI/organization=string:example", want: "5 error bad-type"},
	"type in capitals":               {data: good + "OVESETUP_DB/secured=Bool:False", want: "5 error bad-type"},
	"blank behind the type":          {data: good + "OVESETUP_DB/secured=bool :False", want: "5 error type-blank"},
	"bool:0":                         {data: good + "OVESETUP_DB/secured=bool:0", want: "5 error bool-zero"},
	"bool:no":                        {data: good + "OVESETUP_DB/secured=bool:no", want: "5 error bool-false"},
	"bool:FALSE":                     {data: good + "OVESETUP_CONFIG/keycloakEnable=bool:FALSE", want: "5 error bool-false"},
	"empty bool":                     {data: good + "OVESETUP_DB/secured=bool:", want: "5 error bool-empty"},
	"bool that is a word":            {data: good + "OVESETUP_DB/secured=bool:perhaps", want: "5 error bool-word"},
	"bool:1":                         {data: good + "OVESETUP_CONFIG/sanWipeAfterDelete=bool:1", want: "5 warning bool-true"},
	"quoted bool":                    {data: good + `OVESETUP_DB/secured=bool:"False"`, want: "5 error quoted"},
	"quoted text":                    {data: good + `OVESETUP_PKI/organization=str:'example'`, want: "5 error quoted"},
	"inline comment":                 {data: good + "OVESETUP_PKI/organization=str:example # us", want: "5 error inline-comment"},
	"int that is a word":             {data: good + "OVESETUP_DB/port=int:postgres", want: "5 error bad-int"},
	"empty int":                      {data: good + "OVESETUP_DB/port=int:", want: "5 error bad-int"},
	"none with a value":              {data: good + "OVESETUP_DB/password=none:secret", want: "5 warning none-value"},
	"port out of range":              {data: good + "OVESETUP_DB/port=int:70000", want: "5 error bad-port"},
	"str for a bool":                 {data: good + "OVESETUP_DB/secured=str:False", want: "5 error wrong-type"},
	"str for an int":                 {data: good + "OVESETUP_DB/port=str:5432", want: "5 error wrong-type"},
	"bool for a str":                 {data: good + "OVESETUP_PKI/organization=bool:True", want: "5 error wrong-type"},
	"unknown key":                    {data: good + "OVESETUP_CONFIG/fqdnn=str:a.b", want: "5 error unknown-key"},
	"key in other case":              {data: good + "OVESETUP_CONFIG/updatefirewall=bool:False", want: "5 error key-case"},
	"key of the other installer":     {data: good + "OVEHOSTED_NETWORK/bridgeIf=str:em1", want: "5 error other-installer"},
	"key of the old era":             {data: good + "OVESETUP_AIO/configure=bool:False", want: "5 warning removed-key"},
	"ISO domain in 4.5":              {data: good + "OVESETUP_CONFIG/isoDomainName=str:ISO", want: "5 warning removed-key"},
	"storage type in 4.5":            {data: good + "OVESETUP_CONFIG/storageType=str:nfs", want: "5 warning removed-key"},
	"key of the new era":             {release: "3.4", data: good + "OVESETUP_CONFIG/keycloakEnable=bool:False", want: "5 warning later-key"},
	"question without a number":      {data: good + "QUESTION/OVESETUP_PROVISION=str:yes", want: "5 error bad-question"},
	"duplicate":                      {data: good + "OVESETUP_CONFIG/fqdn=str:b.example.net", want: "5 error dup-key"},
	"duplicate section":              {data: good + "[environment:default]", want: "5 error dup-section"},
	"no section":                     {data: strings.TrimPrefix(good, "[environment:default]\n"), want: "1 error no-section"},
	"empty file":                     {data: "", want: "0 error no-section"},
	"section with a blank":           {data: strings.Replace(good, ":default", ": default", 1), want: "0 error no-section,1 error wrong-section"},
	"section of packstack":           {data: "[general]\nOVESETUP_DB/secured=bool:False\n", want: "0 error no-section,0 warning asked,1 warning extra-section,2 error unread-key"},
	"answer and override":            {data: good + "[environment:override]\nOVESETUP_CONFIG/adminPassword=str:other", want: "6 warning overridden"},
	"byte order mark":                {data: "\ufeff" + good, want: "1 error bom"},
	"not UTF-8":                      {data: good + "OVESETUP_PKI/organization=str:\xe9", want: "5 error not-utf8"},
	"CRLF":                           {data: strings.ReplaceAll(good, "\n", "\r\n"), want: "1 warning crlf"},
	"NUL":                            {data: good + "OVESETUP_PKI/organization=str:a\x00", want: "5 error nul"},
	"lone carriage return":           {data: good + "# a\r# b", want: "5 error stray-cr"},
	"no delimiter":                   {data: good + "OVESETUP_DB/secured", want: "5 error no-delimiter"},
	"indented key":                   {data: good + "  OVESETUP_DB/secured=bool:True", want: "5 error swallowed-key"},
	"indented text":                  {data: good + "  more", want: "5 error continuation"},
	"engine by address":              {data: strings.Replace(good, "engine.example.net", "192.0.2.7", 1), want: "2 error bad-fqdn"},
	"engine without a domain":        {data: strings.Replace(good, "engine.example.net", "engine", 1), want: "2 error bad-fqdn"},
	"engine named localhost":         {data: strings.Replace(good, "engine.example.net", "localhost.localdomain", 1), want: "2 error bad-fqdn"},
	"name with an underscore":        {data: strings.Replace(good, "engine.example.net", "my_engine.example.net", 1), want: "2 error bad-fqdn"},
	"empty name":                     {data: strings.Replace(good, "engine.example.net", "", 1), want: "2 error empty"},
	"empty password":                 {data: strings.Replace(good, "secret", "", 1), want: "3 error empty-password"},
	"not confirmed":                  {data: strings.Replace(good, "bool:True", "bool:False", 1), want: "4 error not-confirmed"},
	"questions left":                 {data: strings.Replace(good, "OVESETUP_CONFIG/adminPassword=str:secret\n", "", 1), want: "0 warning asked"},
	"mode in capitals":               {data: good + "OVESETUP_CONFIG/applicationMode=str:Both", want: "5 error value-case"},
	"mode that is none":              {data: good + "OVESETUP_CONFIG/applicationMode=str:all", want: "5 error bad-value"},
	"iptables in 4.5":                {data: good + "OVESETUP_CONFIG/firewallManager=str:iptables", want: "5 error old-manager"},
	"firewall without its manager":   {data: good + "OVESETUP_CONFIG/updateFirewall=bool:True", want: "5 warning no-manager"},
	"manager without the firewall":   {data: good + "OVESETUP_CONFIG/updateFirewall=bool:False\nOVESETUP_CONFIG/firewallManager=str:firewalld", want: "6 warning moot"},
	"database elsewhere":             {data: good + "OVESETUP_PROVISIONING/postgresProvisioningEnabled=bool:True\nOVESETUP_DB/host=str:db.example.net", want: "6 error remote-provisioning"},
	"database without a password":    {data: good + "OVESETUP_PROVISIONING/postgresProvisioningEnabled=bool:False", want: "5 error missing-db-password"},
	"validation without encryption":  {data: good + "OVESETUP_DB/securedHostValidation=bool:True", want: "5 error unsecured"},
	"organization too long":          {data: good + "OVESETUP_PKI/organization=str:" + strings.Repeat("x", 65), want: "5 error bad-organization"},
	"heap without a unit":            {data: good + "OVESETUP_CONFIG/engineHeapMax=str:1024", want: "5 error bad-heap"},
	"heap upside down":               {data: good + "OVESETUP_CONFIG/engineHeapMin=str:2G\nOVESETUP_CONFIG/engineHeapMax=str:1024M", want: "5 error heap-order"},
	"two names for one engine":       {data: good + "OVESETUP_ENGINE_CONFIG/fqdn=str:other.example.net", want: "5 error mismatch-fqdn"},
	"ISO domain in the image":        {release: "3.4", data: good + "OVESETUP_SYSTEM/nfsConfigEnabled=bool:True\nOVESETUP_CONFIG/isoDomainMountPoint=str:/iso", want: "5 warning iso-domain"},
	"ISO domain without a path":      {release: "3.4", data: good + "OVESETUP_SYSTEM/nfsConfigEnabled=bool:True", want: "5 warning iso-domain,5 warning no-mount-point"},
	"ISO path that is relative":      {release: "3.4", data: good + "OVESETUP_CONFIG/isoDomainMountPoint=str:iso", want: "5 error bad-path"},
	"ISO path without the share":     {release: "3.4", data: good + "OVESETUP_CONFIG/isoDomainMountPoint=str:/iso\nOVESETUP_SYSTEM/nfsConfigEnabled=bool:False", want: "5 warning moot"},
	"percent in 3.4":                 {release: "3.4", data: good + "OVESETUP_DB/password=str:a%(b)s", want: "5 error interpolation"},
	"MAC with hyphens":               {kind: HostedEngine, data: hosted + "OVEHOSTED_VM/vmMACAddr=str:00-16-3e-59-9b-e2", want: "5 error bad-mac"},
	"multicast MAC":                  {kind: HostedEngine, data: hosted + "OVEHOSTED_VM/vmMACAddr=str:01:16:3e:59:9b:e2", want: "5 error bad-mac"},
	"gateway by name":                {kind: HostedEngine, data: hosted + "OVEHOSTED_NETWORK/gateway=str:router", want: "5 error bad-ip"},
	"storage without a path":         {kind: HostedEngine, data: hosted + "OVEHOSTED_STORAGE/storageDomainConnection=str:nas.example.net", want: "5 error bad-export"},
	"too little memory":              {kind: HostedEngine, data: hosted + "OVEHOSTED_VM/vmMemSizeMB=str:2048", want: "5 error bad-memory"},
	"memory with a unit":             {kind: HostedEngine, data: hosted + "OVEHOSTED_VM/vmMemSizeMB=str:4G", want: "5 error bad-memory"},
	"no processor":                   {kind: HostedEngine, data: hosted + "OVEHOSTED_VM/vmVCpus=int:0", want: "5 error bad-positive"},
	"host id out of range":           {kind: HostedEngine, data: hosted + "OVEHOSTED_STORAGE/hostID=int:251", want: "5 error bad-hostid"},
	"UUID that is none":              {kind: HostedEngine, data: hosted + "OVEHOSTED_STORAGE/sdUUID=str:1234", want: "5 error bad-uuid"},
	"identity of one host":           {kind: HostedEngine, data: hosted + "OVEHOSTED_STORAGE/sdUUID=str:124e8020-c9d7-4e86-81e1-0d4e28ff1cd4", want: "5 warning identity"},
	"interface name too long":        {kind: HostedEngine, data: hosted + "OVEHOSTED_NETWORK/bridgeIf=str:enp0s31f6u1u2c2i1", want: "5 error bad-interface"},
	"cdrom without an image":         {kind: HostedEngine, release: "3.4", data: hosted + "OVEHOSTED_VM/vmBoot=str:cdrom", want: "5 error no-cdrom"},
	"disk without an appliance":      {kind: HostedEngine, release: "3.4", data: hosted + "OVEHOSTED_VM/vmBoot=str:disk", want: "5 error no-archive"},
	"NFS without a version in 3.4":   {kind: HostedEngine, release: "3.4", data: hosted + "OVEHOSTED_STORAGE/domainType=str:nfs", want: "5 error nfs-version"},
	"NFS version of a block storage": {kind: HostedEngine, data: hosted + "OVEHOSTED_STORAGE/domainType=str:fc\nOVEHOSTED_STORAGE/nfsVersion=str:v3", want: "6 warning moot"},
	"NFS export of a block storage":  {kind: HostedEngine, data: hosted + "OVEHOSTED_STORAGE/domainType=str:iscsi\nOVEHOSTED_STORAGE/storageDomainConnection=str:nas:/he", want: "6 warning moot-connection"},
	"key of engine-setup":            {kind: HostedEngine, data: hosted + "OVESETUP_CONFIG/fqdn=str:a.example.net", want: "5 error other-installer"},
}

func checkOf(t testing.TB, kind, release, data string) *lint.Report {
	if kind == "" {
		kind = EngineSetup
	}
	if release == "" {
		release = "4.5"
	}
	return Check([]byte(data), modelFor(t, kind, release))
}

func TestCheckFindsEachMistake(t *testing.T) {
	for name, c := range broken {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range checkOf(t, c.kind, c.release, c.data).Findings {
				got = append(got, fmt.Sprintf("%d %s %s", f.Line, f.Severity, f.Code))
			}
			want := strings.Split(c.want, ",")
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestEachMistakeHasItsOwnMessage: two different mistakes must not read the same.
func TestEachMistakeHasItsOwnMessage(t *testing.T) {
	messages := map[string]string{}
	codes := map[string]bool{}
	for name, c := range broken {
		for _, f := range checkOf(t, c.kind, c.release, c.data).Findings {
			text := strings.ReplaceAll(f.Message, f.Key, "KEY")
			if other, ok := messages[text]; ok && other != f.Code {
				t.Errorf("%s: %q is also the message of %s", name, text, other)
			}
			messages[text] = f.Code
			codes[f.Code] = true
		}
	}
	if len(messages) < 40 || len(codes) < 40 {
		t.Errorf("%d messages of %d kinds, want at least 40", len(messages), len(codes))
	}
}

func TestWhatAFaultyFileDoesDependsOnTheEra(t *testing.T) {
	data := good + "OVESETUP_CONFIG/fqdn=str:b.example.net\nx\n"
	for release, want := range map[string][]string{
		"3.4": {"the last one wins without a word", "engine-setup stops"},
		"4.5": {"leaves out the whole file", "leaves out the whole file"},
	} {
		list := checkOf(t, "", release, data).Findings
		if len(list) != 2 || !strings.Contains(list[0].Message, want[0]) || !strings.Contains(list[1].Message, want[1]) {
			t.Errorf("%s: %+v, want %q", release, list, want)
		}
	}
}

func TestCheckFindsAllAtOnce(t *testing.T) {
	data := "\ufeff[environment:default]\n"
	want := map[string]bool{"bom": true, "asked": true}
	for _, name := range []string{"no type", "unknown type", "bool:0", "bool:no", "quoted text", "int that is a word", "unknown key", "key of the other installer",
		"key of the old era", "question without a number", "mode in capitals", "iptables in 4.5", "heap without a unit", "indented key", "no delimiter"} {
		c := broken[name]
		data += strings.TrimPrefix(c.data, good) + "\n"
		for f := range strings.SplitSeq(c.want, ",") {
			want[strings.Fields(f)[2]] = true
		}
	}
	got := map[string]bool{}
	for _, f := range checkOf(t, "", "", data).Findings {
		got[f.Code] = true
	}
	for code := range want {
		if !got[code] {
			t.Errorf("no finding %s", code)
		}
	}
}

func TestCheckShowsNoSecret(t *testing.T) {
	for _, line := range []string{
		"OVESETUP_DB/password=hunter2", "OVESETUP_DB/password=str:'hunter2'", "OVESETUP_DB/passwrd=str:hunter2", "OVESETUP_DB/password=none:hunter2",
		"OVESETUP_DB/password=hunter2:x", "OVESETUP_DB/password=int:hunter2", "OVESETUP_DB/password=bool:hunter2", "hunter2", "  hunter2", "  OVESETUP_DB/password=str:hunter2",
	} {
		r := checkOf(t, "", "", good+line)
		if len(r.Findings) == 0 {
			t.Errorf("%q: nothing found", line)
		}
		for _, f := range r.Findings {
			if strings.Contains(f.Message+f.Hint+f.Key, "hunter") {
				t.Errorf("%q: the secret is in %q", line, f.Message)
			}
		}
	}
}

// TestParseValueAgreesWithOtopi holds what otopi's parseTypedValue made of each text, run on otopi 1.9.6.
func TestParseValueAgreesWithOtopi(t *testing.T) {
	for text, want := range map[string]string{
		"none:None": "None", "none:": "None", "bool:True": "True", "bool:False": "False", "bool:f": "False", "bool:F": "False", "bool:false": "False",
		"bool:0": "True", "bool:no": "True", "bool:": "True", "bool:FALSE": "True", "int:5": "5", "int:-1": "-1", "str:a:b": "a:b", "str:": "", "multi-str:a": "[a]",
		"int:": "error", "int:x": "error", "a": "error", "": "error", "Str:a": "error", "string:a": "error", "bool :True": "error",
	} {
		got := "error"
		if v, err := ParseValue(text); err == nil {
			got = map[string]string{None: "None", Int: v.Text, Str: v.Text, MultiStr: "[" + v.Text + "]"}[v.Type]
			if v.Type == Bool {
				got = map[bool]string{true: "True", false: "False"}[v.Truth()]
			}
		}
		if got != want {
			t.Errorf("%q = %s, want %s", text, got, want)
		}
	}
}

func TestKeysAreSound(t *testing.T) {
	all, err := keys()
	if err != nil {
		t.Fatal(err)
	}
	forms := []string{"", "fqdn", "host", "uuid", "mac", "ip", "port", "hostid", "positive", "memory", "path", "export", "interface", "organization", "heap"}
	eras := []string{"engine-3.4", "engine-4.5", "hosted-3.4", "hosted-4.5", "otopi"}
	count := map[string]int{}
	for _, k := range all {
		for _, typ := range k.Types {
			if !slices.Contains([]string{Bool, Int, Str, MultiStr}, typ) {
				t.Errorf("%s: type %q", k.Name, typ)
			}
		}
		for _, era := range k.Eras {
			if count[era]++; !slices.Contains(eras, era) {
				t.Errorf("%s: era %q", k.Name, era)
			}
		}
		if !slices.Contains(forms, k.Form) || len(k.Eras) == 0 {
			t.Errorf("%s: form %q, eras %q", k.Name, k.Form, k.Eras)
		}
		if strings.HasSuffix(strings.ToLower(k.Name), "password") && !k.Secret && !slices.Contains(k.Types, Bool) {
			t.Errorf("%s is not marked as a secret", k.Name)
		}
	}
	for _, era := range eras {
		if count[era] < 20 {
			t.Errorf("only %d keys of %s", count[era], era)
		}
	}
	for name, table := range map[string]string{"too few columns": "A\tstr\n", "a key twice": "A\tstr\to\t-\t-\t-\nA\tstr\to\t-\t-\t-\n"} {
		if _, err := load(table); err == nil {
			t.Errorf("a table with %s was taken", name)
		}
	}
}

func TestModelForRefuses(t *testing.T) {
	if _, err := ModelFor(EngineSetup, "3.6"); err == nil || !strings.Contains(err.Error(), "3.4, 4.5") {
		t.Errorf("release 3.6: %v, want an error that lists the releases", err)
	}
	if _, err := ModelFor("vdsm", "4.5"); err == nil || !strings.Contains(err.Error(), EngineSetup) {
		t.Errorf("installer vdsm: %v, want an error that lists the installers", err)
	}
}

// FuzzCheck: no panic, and every finding stands in the file.
func FuzzCheck(f *testing.F) {
	for _, c := range broken {
		f.Add(c.data, c.kind == HostedEngine, c.release == "3.4")
	}
	f.Fuzz(func(t *testing.T, data string, hosted, old bool) {
		kind, release := EngineSetup, "4.5"
		if hosted {
			kind = HostedEngine
		}
		if old {
			release = "3.4"
		}
		lines := strings.Count(data, "\n") + strings.Count(data, "\r") + 1
		for _, x := range checkOf(t, kind, release, data).Findings {
			if x.Line < 0 || x.Line > lines || x.Message == "" || x.Code == "" {
				t.Fatalf("finding %+v in a file of %d lines", x, lines)
			}
		}
	})
}
