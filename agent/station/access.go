package station

import (
	"context"
	"net/http"
)

// Permission is what a route, a stream or a command needs. The empty
// permission is refused everywhere: what declares none cannot be reached.
type Permission string

// The permissions.
const (
	// PermPublic is open to everybody: the login page, health probes.
	PermPublic Permission = "public"
	// PermWatch sees the desk, alarms, sensors, cameras and their health.
	PermWatch Permission = "watch"
	// PermVideo sees live video and clips.
	PermVideo Permission = "video"
	// PermAnswer answers alarms.
	PermAnswer Permission = "answer"
	// PermConfigure adds and changes sensors, cameras and brokers.
	PermConfigure Permission = "configure"
	// PermPeople sees and changes who is behind a sensor: names and telephones.
	PermPeople Permission = "people"
	// PermAccounts makes and changes accounts.
	PermAccounts Permission = "accounts"
	// PermAudit reads the audit.
	PermAudit Permission = "audit"
	// PermMetrics reads the metrics.
	PermMetrics Permission = "metrics"
	// PermNode is for other nodes that prove themselves by a certificate.
	PermNode Permission = "node"
)

// Permissions lists every permission.
func Permissions() []Permission {
	return []Permission{PermPublic, PermWatch, PermVideo, PermAnswer, PermConfigure, PermPeople, PermAccounts, PermAudit, PermMetrics, PermNode}
}

// Actor is who asks: a person with an account, another node, or the program.
type Actor struct {
	// Account is the account's name, "node:ID" or "system".
	Account string `json:"account"`
	// Name is as shown on the screen.
	Name string `json:"name,omitempty"`
	Role string `json:"role,omitempty"`
	// Address is where the request came from.
	Address string `json:"address,omitempty"`
}

// System is the program itself.
func System() Actor { return Actor{Account: "system", Role: "system"} }

// Route is one HTTP route that a room exports; the console mounts it. The
// fields behind Handler describe it in the OpenAPI document.
type Route struct {
	// Pattern is a net/http pattern: "GET /api/v1/cameras/{id}".
	Pattern    string
	Permission Permission
	// Resource is what the permission is asked for, with the pattern's
	// wildcards filled in: "camera/{id}". Empty means the node itself.
	Resource string
	Handler  http.Handler
	// Summary is one line.
	Summary string
	// Body and Reply are zero values of the JSON types; nil for none or for
	// other media, which BodyType and ReplyType then name.
	Body, Reply         any
	BodyType, ReplyType string
	// Status of a success; zero means 200.
	Status int
	// Params are what it takes beside the path; none is required.
	Params []Param
}

// Param is a query parameter or a header of a route.
type Param struct {
	Name string
	In   string // "query" or "header"
	Type string // of JSON Schema: "string", "integer", "boolean"
	// Summary is one line.
	Summary string
}

type actorKey struct{}

// WithActor returns a context that carries who asks.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorFrom is who asks; the zero Actor when nobody is known, which may do
// nothing but what is public.
func ActorFrom(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}

type sightKey struct{}

// WithSight returns a context that knows which cameras who asks may see.
func WithSight(ctx context.Context, sees func(camera string) error) context.Context {
	return context.WithValue(ctx, sightKey{}, sees)
}

// MaySee is for a handler whose route names no camera as its Resource, since it is
// about several, or learns which from the body: nil when who asks may see this one.
// Where nobody knows, nobody may.
func MaySee(ctx context.Context, camera string) error {
	if sees, ok := ctx.Value(sightKey{}).(func(string) error); ok {
		return sees(camera)
	}
	return ErrUnseen.At("camera/" + camera)
}

// ErrUnseen is of a camera that is not for who asks.
var ErrUnseen = &Problem{
	Code: "camera.restricted", Status: http.StatusForbidden, Message: "this camera is not for this account to see",
	Hint: "ask an administrator: who may see a camera stands in its settings",
}
