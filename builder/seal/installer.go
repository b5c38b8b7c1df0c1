package seal

// installer: what the installation of the golden machine left. Answer files of packstack hold every password of the cloud.
var installer = Operation{
	Name:  "installer",
	Short: "logs, answer files and preseeds of installers",
	Remove: []string{"var/log/installer", "var/log/anaconda", "root/anaconda-ks.cfg", "root/original-ks.cfg", "root/install.log*", "root/ks-*",
		"root/packstack-answers*", "root/packstackca", "var/lib/debian-installer", "root/.pip", "root/.cache", "root/.wget-hsts"},
}
