package account

import (
	"net/http"
	"slices"

	"stationd/agent/station"
)

// The roles. A person has one.
const (
	RoleAdmin     = "admin"     // everything; made by the first claim
	RoleChief     = "chief"     // 站长: the operator's work, accounts and audit
	RoleOperator  = "operator"  // 信息员 on duty: sees and answers
	RoleInstaller = "installer" // sets up devices; answers nothing
	RoleViewer    = "viewer"    // 只看: the desk without video
	RoleDisplay   = "display"   // a screen of the duty room that an administrator armed; no person has it
	RoleSystem    = "system"    // the program itself
	RoleNode      = "node"      // another stationd, proven by certificate
	RoleContact   = "contact"   // who answers one alarm by a signed link
)

// grants is the whole of what each role may do. What is not here is denied.
var grants = map[string][]station.Permission{
	RoleAdmin: {
		station.PermWatch, station.PermVideo, station.PermAnswer, station.PermConfigure,
		station.PermPeople, station.PermAccounts, station.PermAudit, station.PermMetrics,
	},
	RoleChief: {
		station.PermWatch, station.PermVideo, station.PermAnswer,
		station.PermPeople, station.PermAccounts, station.PermAudit,
	},
	RoleOperator:  {station.PermWatch, station.PermVideo, station.PermAnswer, station.PermPeople},
	RoleInstaller: {station.PermWatch, station.PermVideo, station.PermConfigure, station.PermMetrics},
	RoleViewer:    {station.PermWatch},
	RoleDisplay:   {station.PermWatch, station.PermVideo, station.PermAnswer},
	RoleNode:      {station.PermNode},
	RoleContact:   {station.PermAnswer},
	RoleSystem: {
		station.PermWatch, station.PermVideo, station.PermAnswer, station.PermConfigure,
		station.PermPeople, station.PermAccounts, station.PermAudit, station.PermMetrics,
	},
}

// Roles lists the roles that a person can be given.
func Roles() []string {
	return []string{RoleAdmin, RoleChief, RoleOperator, RoleInstaller, RoleViewer}
}

// Permissions lists what a role may do, in the order of the vocabulary.
func Permissions(role string) []station.Permission {
	return slices.Clone(grants[role])
}

// Problems of access.
var (
	errSignIn = station.Problem{Code: "access.sign-in", Status: http.StatusUnauthorized, Message: "nobody is signed in", Hint: "sign in and try again"}
	errDenied = station.Problem{Code: "access.denied", Status: http.StatusForbidden, Message: "this account may not do that", Hint: "ask the station's chief or administrator"}
	errOpen   = station.Problem{Code: "access.undeclared", Status: http.StatusForbidden, Message: "this has no declared permission and is therefore closed", Hint: "report it: it is a fault of the program"}
)

// Authorize tells whether actor may do what needs p on resource ("camera/x"; empty
// for the node itself): nil, or a problem with status 401 or 403. What is not
// granted is denied, and so is what declares no permission.
//
// Every account of a node sees every resource of that node; resource is part
// of the question so that no caller can forget to name it.
func Authorize(actor station.Actor, p station.Permission, resource string) error {
	switch {
	case p == "" || !slices.Contains(station.Permissions(), p):
		return errOpen.At(resource)
	case p == station.PermPublic:
		return nil
	case actor.Account == "":
		return errSignIn.At(resource)
	case !slices.Contains(grants[actor.Role], p):
		return errDenied.At(resource)
	}
	return nil
}
