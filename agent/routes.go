package agent

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"stationd/agent/account"
	"stationd/agent/station"
)

// The HTTP routes of the core: what the desk reads, and commands by HTTP. Who
// asks is in the request's context; the console has authorised the permission
// that each route declares before the handler runs.

// The answers' shapes.
type (
	alarmAnswer struct {
		Alarm station.Alarm `json:"alarm"`
	}
	sensorList struct {
		Sensors []SensorView `json:"sensors"`
	}
	cameraList struct {
		Cameras []CameraView `json:"cameras"`
	}
	brokerList struct {
		Brokers []station.BrokerView `json:"brokers"`
	}
	deviceList struct {
		Devices []station.BrokerAccount `json:"devices"`
	}
	nodeList struct {
		Nodes []station.Node `json:"nodes"`
		// Below are those that speak through one of the others.
		Below []BelowNode `json:"below"`
	}
	auditList struct {
		Rows []station.Audit `json:"rows"`
	}
	accountList struct {
		Accounts []account.Account `json:"accounts"`
	}
)

// What several routes take.
var (
	limitParam    = station.Param{Name: "limit", In: "query", Type: "integer", Summary: "how many at most, 1 to 500; 50 without it"}
	commandParams = []station.Param{{Name: "Idempotency-Key", In: "header", Type: "string", Summary: "a UUID that makes it safe to repeat: the second time the first answer comes back"}}
)

// Routes are the core's routes.
func (a *Agent) Routes() []station.Route {
	return slices.Concat(a.alarmRoutes(), a.coreRoutes(), a.evidenceRoutes(), a.respondRoutes(), a.sensorRoutes(), a.csvRoutes(), a.cameraRoutes(), a.joiningRoutes(), a.peopleRoutes(),
		a.planRoutes(), a.cardRoutes(), a.shiftNoteRoutes(), a.displayRoutes(), a.ruleRoutes(), a.exportRoutes(), a.wallRoutes(), a.enrolmentRoutes(), a.sourceRoutes(), a.stationRoutes(), a.instructRoutes(), a.broadcastRoutes(), a.claimRoutes())
}

// coreRoutes are those of sensors, cameras and accounts.
func (a *Agent) coreRoutes() []station.Route {
	return []station.Route{
		{Pattern: "GET /api/v1/sensors", Permission: station.PermWatch, Summary: "List sensors with their states", Reply: sensorList{}, Handler: list(a.Sensors, func(v []SensorView) any { return sensorList{v} })},
		{Pattern: "PUT /api/v1/sensors/{id}", Permission: station.PermConfigure, Resource: "sensor/{id}", Summary: "Add, adopt or change a sensor", Body: station.Sensor{}, Reply: station.Sensor{}, Params: commandParams, Handler: a.put(station.CommandPutSensor, "id")},
		{Pattern: "DELETE /api/v1/sensors/{id}", Permission: station.PermConfigure, Resource: "sensor/{id}", Summary: "Remove a sensor", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemoveSensor)},

		{Pattern: "GET /api/v1/cameras", Permission: station.PermWatch, Summary: "List cameras with their states", Reply: cameraList{}, Handler: station.Handler(a.getCameras)},
		{Pattern: "PUT /api/v1/cameras/{id}", Permission: station.PermConfigure, Resource: "camera/{id}", Summary: "Add or change a camera", Body: station.CameraOrder{}, Reply: station.Camera{}, Params: commandParams, Handler: a.put(station.CommandPutCamera, "id")},
		{Pattern: "DELETE /api/v1/cameras/{id}", Permission: station.PermConfigure, Resource: "camera/{id}", Summary: "Remove a camera; its record stays until its time", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemoveCamera)},

		{Pattern: "GET /api/v1/brokers", Permission: station.PermConfigure, Summary: "List the outside brokers, and how they are", Reply: brokerList{}, Handler: list(a.Brokers, func(v []station.BrokerView) any { return brokerList{v} })},
		{Pattern: "PUT /api/v1/brokers/{id}", Permission: station.PermConfigure, Resource: "broker/{id}", Summary: "Add or change an outside broker", Body: station.BrokerOrder{}, Reply: station.Broker{}, Params: commandParams, Handler: a.put(station.CommandPutBroker, "id")},
		{Pattern: "DELETE /api/v1/brokers/{id}", Permission: station.PermConfigure, Resource: "broker/{id}", Summary: "Remove an outside broker", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemoveBroker)},

		{Pattern: "GET /api/v1/devices", Permission: station.PermConfigure, Summary: "List the device accounts of the built-in broker", Reply: deviceList{}, Handler: list(a.Devices, func(v []station.BrokerAccount) any { return deviceList{v} })},
		{Pattern: "PUT /api/v1/devices/{id}", Permission: station.PermConfigure, Resource: "device/{id}", Summary: "Make a device account, or a new password for it; the password is shown this once", Reply: station.DeviceCredential{}, Params: commandParams, Handler: a.put(station.CommandPutDevice, "")},
		{Pattern: "DELETE /api/v1/devices/{id}", Permission: station.PermConfigure, Resource: "device/{id}", Summary: "Remove a device account", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemoveDevice)},

		{Pattern: "GET /api/v1/accounts", Permission: station.PermAccounts, Summary: "List the accounts", Reply: accountList{}, Handler: list(a.Accounts, func(v []account.Account) any { return accountList{v} })},
		{Pattern: "PUT /api/v1/accounts/{id}", Permission: station.PermAccounts, Resource: "account/{id}", Summary: "Make or change an account", Body: station.AccountOrder{}, Reply: account.Account{}, Params: commandParams, Handler: a.put(station.CommandPutAccount, "account")},
		{Pattern: "DELETE /api/v1/accounts/{id}", Permission: station.PermAccounts, Resource: "account/{id}", Summary: "Remove an account and end its sessions", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemoveAccount)},

		{Pattern: "GET /api/v1/clips/{id}", Permission: station.PermVideo, Resource: "clip/{id}", Summary: "What is known of a clip", Reply: station.Clip{}, Handler: station.Handler(a.getClip)},
		{Pattern: "DELETE /api/v1/clips/{id}", Permission: station.PermConfigure, Resource: "clip/{id}", Summary: "Remove a clip's film for good; its record and the audit stay", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemoveClip)},
		{Pattern: "GET /api/v1/nodes", Permission: station.PermWatch, Summary: "List the stations below this centre", Reply: nodeList{}, Handler: list(a.allNodes, func(v nodeList) any { return v })},
		{Pattern: "GET /api/v1/audit", Permission: station.PermAudit, Summary: "Read the audit, newest first", Params: []station.Param{{Name: "before", In: "query", Type: "integer", Summary: "rows before the one with this seq"}, limitParam}, Reply: auditList{}, Handler: station.Handler(a.getAudit)},
	}
}

func (a *Agent) allNodes() (v nodeList, err error) {
	if v.Nodes, err = a.Nodes(); err == nil {
		v.Below, err = a.Below()
	}
	return v, err
}

func list[T any](read func() (T, error), wrap func(T) any) http.Handler {
	return station.Handler(func(w http.ResponseWriter, _ *http.Request) error {
		v, err := read()
		if err != nil {
			return err
		}
		return station.WriteJSON(w, http.StatusOK, wrap(v))
	})
}

// limitOf reads ?limit=, 1 to 500; the default is 50.
func limitOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return 50, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 500 {
		return 0, station.Errorf(http.StatusBadRequest, "query.limit", "use 1 to 500", "limit=%q cannot be used", text).At("limit")
	}
	return n, nil
}

func (a *Agent) getCameras(w http.ResponseWriter, r *http.Request) error {
	list, err := a.CamerasFor(station.ActorFrom(r.Context()))
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, cameraList{list})
}

func (a *Agent) getClip(w http.ResponseWriter, r *http.Request) error {
	c, err := a.Clip(r.PathValue("id"))
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, c)
}

func (a *Agent) getAudit(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitOf(r)
	if err != nil {
		return err
	}
	var before uint64
	if text := r.URL.Query().Get("before"); text != "" {
		if before, err = strconv.ParseUint(text, 10, 64); err != nil {
			return station.Errorf(http.StatusBadRequest, "query.before", "use the seq of a row", "before=%q cannot be used", text).At("before")
		}
	}
	rows, err := a.Audit(before, limit)
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, auditList{rows})
}

// command carries out a command from an HTTP request. The Idempotency-Key is
// the command's ID; a request without one is its own command.
func (a *Agent) command(r *http.Request, kind, subject string, body, result any) error {
	raw, ok := body.(json.RawMessage)
	if !ok && body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return err
		}
	}
	id := r.Header.Get("Idempotency-Key")
	if id == "" {
		id = station.NewID()
	}
	receipt := a.Handle(r.Context(), station.Command{
		ID: id, Type: kind, Subject: subject, Actor: station.ActorFrom(r.Context()), Issued: a.now(), Body: raw,
	})
	if receipt.Problem != nil {
		return receipt.Problem
	}
	if result == nil || receipt.Result == nil {
		return nil
	}
	return json.Unmarshal(receipt.Result, result)
}

// put serves a PUT whose body is the command's body. The ID in the path wins
// over the one in the body, under the field idField; "" means no body.
func (a *Agent) put(kind, idField string) http.Handler {
	return station.Handler(func(w http.ResponseWriter, r *http.Request) error {
		id := r.PathValue("id")
		var body json.RawMessage
		if idField != "" {
			fields := map[string]json.RawMessage{}
			if err := station.ReadJSON(w, r, &fields); err != nil {
				return err
			}
			quoted, err := json.Marshal(id)
			if err != nil {
				return err
			}
			fields[idField] = quoted
			if body, err = json.Marshal(fields); err != nil {
				return err
			}
		}
		var result json.RawMessage
		if err := a.command(r, kind, id, body, &result); err != nil {
			return err
		}
		return station.WriteJSON(w, http.StatusOK, result)
	})
}

func (a *Agent) remove(kind string) http.Handler {
	return station.Handler(func(w http.ResponseWriter, r *http.Request) error {
		if err := a.command(r, kind, r.PathValue("id"), nil, nil); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}
