package account

import (
	"net/http"
	"slices"

	"stationd/agent/station"
)

// Sight is who may see a camera and what was recorded by it.
type Sight struct {
	// Roles are the roles that may; empty lets everybody who may see video.
	Roles []string `json:"roles,omitempty"`
	// Withheld keeps it from other nodes.
	Withheld bool `json:"withheld,omitempty"`
}

// SightOf is who may see a camera.
func SightOf(c station.Camera) Sight { return Sight{Roles: c.Roles, Withheld: c.Withheld} }

// Open tells that nobody is kept from it.
func (s Sight) Open() bool { return len(s.Roles) == 0 && !s.Withheld }

// Allows tells whether an actor of a role may see it, as far as this camera is
// concerned; what the role may do at all is Authorize's to say.
func (s Sight) Allows(role string) bool {
	switch role {
	case RoleAdmin, RoleSystem:
		return true
	case RoleNode:
		return !s.Withheld
	}
	return len(s.Roles) == 0 || slices.Contains(s.Roles, role)
}

// Validate reports roles that nobody can have.
func (s Sight) Validate() error {
	for _, role := range s.Roles {
		if role != RoleDisplay && !slices.Contains(Roles(), role) {
			return station.Errorf(http.StatusBadRequest, "setup.invalid", "use admin, chief, operator, installer, viewer and display", "there is no role %q", role).At("roles")
		}
	}
	return nil
}
