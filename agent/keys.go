package agent

import (
	"net/url"
	"strings"

	"stationd/agent/station"
	"stationd/agent/store"
)

// The keys of the agent's records. Parts that come from outside are escaped, so
// that a slash in a sensor's name cannot leave its table.
const (
	sensorTable  = store.Key("sensor/")
	stateTable   = store.Key("state/")
	alarmTable   = store.Key("alarm/")
	liveTable    = store.Key("live/") // live/<sensor>/<kind> → alarm ID
	clipTable    = store.Key("clip/")
	cuttingTable = store.Key("cutting/") // clips still to be made
	uploadTable  = store.Key("upload/")  // clips still to be uploaded
	exportTable  = store.Key("export/")
	holdTable    = store.Key("hold/") // what is or was held as evidence
	cameraTable  = store.Key("camera/")
	camStTable   = store.Key("camstate/")
	sightTable   = store.Key("sight/") // who might see a camera that is gone
	brokerTable  = store.Key("broker/")
	deviceTable  = store.Key("device/")
	accountTable = store.Key("account/")
	sessionTable = store.Key("session/")
	inviteTable  = store.Key("invite/")
	displayTable = store.Key("display/")
	wallTable    = store.Key("wall/")
	groupTable   = store.Key("cameragroup/")
	tourTable    = store.Key("tour/")
	roundTable   = store.Key("tourround/") // the last whole round of each tour
	// Rounds of tours by when they began, and where each of them is by its ID.
	patrolTable   = store.Key("patrol/")
	patrolAtTable = store.Key("patrolat/")
	planTable     = store.Key("plan/")
	cardTable     = store.Key("card/")
	cardPast      = store.Key("cardpast/") // cardpast/<kind>/<version>
	shiftTable    = store.Key("shift/")
	receiptTable  = store.Key("receipt/")
	auditTable    = store.Key("audit/")
	auditHead     = store.Key("audithead")
	openedKey     = store.Key("opened") // the epoch of the store that was last told of
	selfKey       = store.Key("self")   // the node as it introduced itself
	nodeTable     = store.Key("node/")
	siteTable     = store.Key("site/")       // what people know of a station
	watchTable    = store.Key("nodewatch/")  // nodewatch/<node> → what is waited for of it
	healthTable   = store.Key("nodehealth/") // what a station said last of itself
	upTable       = store.Key("up/")         // up/<kind>/<id> → since when it is there, or not
	upDayTable    = store.Key("upday/")      // upday/<day>/<kind>/<id> → how long it was there
	markTable     = store.Key("mark/")       // mark/<node>/<lane>
	pastTable     = store.Key("past/")       // past/<node>/<lane>/<epoch>
	targetTable   = store.Key("target/")     // target/<name> → when it was told what is set up

	recorderTable = store.Key("recorder/")

	enrolmentTable = store.Key("enrolment/") // enrolment/<node>
	codeTable      = store.Key("enrolcode/") // enrolcode/<digest of a code>

	belowTable   = store.Key("below/")   // below/<node>: what speaks through a child
	passageTable = store.Key("passage/") // passage/<origin node>/<lane>/<origin epoch>

	sourceTable      = store.Key("source/")
	sourceTokenTable = store.Key("sourcetoken/") // sourcetoken/<digest of a token> → source
	routedTable      = store.Key("routed/")      // routed/<node>/<id>
	routingTable     = store.Key("routing/")     // routing/<node>/<seq> → the ID of what waits for its receipt
	routedNameTable  = store.Key("routedname/")  // routedname/<source>/<its name for it> → what became of it
	routeCountKey    = store.Key("routecount")

	// Who is told of alarms, and what became of it.
	contactTable    = store.Key("contact/")
	channelTable    = store.Key("channel/")
	dutyKey         = store.Key("duty")
	responseTable   = store.Key("response/")
	clockTable      = store.Key("respondclock/") // responses whose next step has a time
	tellTable       = store.Key("tell/")         // messages still to be sent
	handedTable     = store.Key("handed/")       // handed/<alarm> → the event that the parent must confirm
	sirenTable      = store.Key("siren/")        // siren/<channel>/<alarm>: for whom it sounds
	askedTable      = store.Key("asked/")        // asked/<alarm>/<what> → what was asked of a station
	askingTable     = store.Key("asking/")       // asking/<alarm>/<what>: those that wait for its receipt
	pushTable       = store.Key("push/")         // push/<template>/<node> → a rule template at a station
	pushingTable    = store.Key("pushing/")      // pushing/<template>/<node>: those that wait for its receipt
	pushAllTable    = store.Key("pushall/")      // pushall/<template> → what stations get that come later
	orderedTable    = store.Key("ordered/")      // ordered/<id> → what a station was ordered to do
	orderingTable   = store.Key("ordering/")     // ordering/<id>: those that wait for its receipt
	claimTable      = store.Key("claim/")        // claim/<alarm> → which seat deals with it
	broadcastTable  = store.Key("broadcast/")
	parentPolicyKey = store.Key("parentpolicy") // what is not taken from above
	rulePolicyKey   = store.Key("rulepolicy")   // which of the parent's templates are taken
	soundKey        = store.Key("sound")
	troubleTable    = store.Key("channeltrouble/") // channels that do not get through

	conditionTable = store.Key("cond/")     // cond/<sensor>/<kind> → alarm.Record
	bridgedTable   = store.Key("bridged/")  // bridged/<bridge>/<sensor> → the kind that is hidden
	timerTable     = store.Key("timer/")    // timer/<tick>/<what>/<subject…> → timer
	serviceTable   = store.Key("service/")  // service/<sensor> → when its service ends
	sentTable      = store.Key("sent/")     // sent/<link>/=<row> → the newest transmission of each of its places
	trimmedKey     = store.Key("trimmed")   // what the journal gave up of the readings, until it is told
	refusedKey     = store.Key("refused")   // how many readings the disk had no room for, until it is told
	steadyKey      = store.Key("steady")    // the place on the node's own line of time
	floodKey       = store.Key("flood")     // the newest alarms' times, and the flood
	modeKey        = store.Key("mode")      // the work mode and what is armed
	scheduleTable  = store.Key("schedule/") // arming schedules
	incidentTable  = store.Key("incident/")
	spotTable      = store.Key("spot/")     // spot/<place> → the last alarm there
	bySensorTable  = store.Key("bysensor/") // bysensor/<sensor>/<alarm>
	byKindTable    = store.Key("bykind/")   // bykind/<kind>/<alarm>
	indexedKey     = store.Key("indexed")   // the alarms of an older version are in the two above
)

func key(table store.Key, parts ...string) store.Key {
	for i, p := range parts {
		if !plain(p) {
			parts[i] = url.PathEscape(p)
		}
	}
	switch len(parts) { // as nearly always
	case 1:
		return table + store.Key(parts[0])
	case 2:
		return table + store.Key(parts[0]) + "/" + store.Key(parts[1])
	}
	return table + store.Key(strings.Join(parts, "/"))
}

// plain tells that nothing in p needs to be escaped; our own IDs never do.
func plain(p string) bool {
	for i := range len(p) {
		c := p[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}

// liveKey is the place of the one live alarm of a sensor and kind; the node's own
// alarms have no sensor.
func liveKey(sensor string, kind station.AlarmKind) store.Key {
	return key(liveTable, sensor, string(kind))
}

// Qualify makes the ID of a child's sensor or camera unique at its parent:
// "<node>.<id>". No node and no sensor of ours has a dot in its own.
func Qualify(node station.NodeID, id string) string {
	if id == "" {
		return ""
	}
	return string(node) + "." + id
}
