package seal

// sessions: who was logged in, locked out or counted. What is in /run goes with the operation tmp; on old systems /var/run is
// a folder of its own.
var sessions = Operation{
	Name:  "sessions",
	Short: "logged in and locked out users, process accounting",
	Remove: []string{"var/run/utmp", "var/run/console/*", "var/run/faillock/*", "var/run/sepermit/*", "var/lib/faillock/*", "var/db/sudo/*",
		"var/lib/sudo/ts/*", "var/account/pacct-*", "var/account/pacct.*"},
	Empty: []string{"var/account/pacct"},
}
