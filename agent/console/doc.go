// Package console serves the node's one HTTP door: the embedded pages, the API
// under /api/v1 that every room's routes make up, the event stream, health and
// metrics.
//
// It is the only place where sessions are read from cookies, where permissions
// are enforced and where errors become answers. A route is served only with the
// permission it declares; one that declares none is refused. No room's routes
// live here: rooms export them as []station.Route.
//
// Until the node is claimed it listens on loopback alone. Without TLS it
// listens on loopback always.
package console
