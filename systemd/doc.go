// Package systemd is the daemon's side of the service manager: the hardened
// unit file, and the few messages that the manager wants to hear.
//
// Unit fills in the paths of an installation and refuses a path that systemd
// would read as something else. Ready, Stopping and Status say where the daemon
// is in its life. Watchdog keeps it alive only for as long as it proves that it
// works.
//
// Without NOTIFY_SOCKET in the environment (started by hand, in a container, on
// Windows) the messages go nowhere and cost nothing. The package keeps no state
// and starts no goroutine that outlives the call.
package systemd
