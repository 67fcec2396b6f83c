package gb26875

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"stationd/agent/station"
	"stationd/devices/payload"
)

// Parts report what changes. A panel that is reset (复位) forgets what stood, says
// so once for the whole system, and reports anew what still holds; of the parts
// that are calm again many panels never speak. So what stands is remembered here,
// and ends with the reset.

// maxStanding bounds the devices of a unit that are remembered; of further ones only
// their own reports tell.
const maxStanding = 2048

// panelReset is the word by which a reset is told: an operation, and a bit of the
// system's state.
const panelReset = "reset"

// isReset tells whether a reading says that its system was reset.
func isReset(r payload.Reading) bool {
	if r.Values[panelReset] == true {
		return true
	}
	done, _ := r.Values[payload.FieldAction].(string)
	return slices.Contains(strings.Split(done, ","), panelReset)
}

// cleared are the readings that the resets among readings stand for: of each device
// of the system, that what stood does so no more.
func (s *Server) cleared(a Address, readings []payload.Reading) (ends []payload.Reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.units[a]
	if u == nil {
		return nil
	}
	for _, r := range readings {
		if !isReset(r) || r.Device == a.String() { // a unit that was reset is no panel
			continue
		}
		for _, device := range slices.Sorted(maps.Keys(u.standing)) {
			if device != r.Device && !strings.HasPrefix(device, r.Device+"/") {
				continue
			}
			end := u.standing[device]
			end.Values = map[string]station.Value{}
			for field := range u.standing[device].Values {
				if device != r.Device || r.Values[field] != true { // the panel says what it has anew
					end.Values[field] = false
				}
			}
			end.DeviceTime, end.SentAt, end.Serial = r.DeviceTime, r.SentAt, fmt.Sprintf("%s-reset-%d", r.Serial, len(ends))
			ends = append(ends, end)
		}
	}
	return ends
}

// stand remembers what stands after readings were stored.
func (s *Server) stand(a Address, readings []payload.Reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.units[a]
	if u == nil {
		return
	}
	for _, r := range readings {
		for field, v := range r.Values {
			on, isBit := v.(bool)
			if !isBit || field == panelReset {
				continue
			}
			known, there := u.standing[r.Device]
			switch {
			case !on && there:
				delete(known.Values, field)
				if len(known.Values) == 0 {
					delete(u.standing, r.Device)
				}
			case on && !there && len(u.standing) < maxStanding:
				if u.standing == nil {
					u.standing = map[string]payload.Reading{}
				}
				known = r
				known.Values, known.Events = map[string]station.Value{field: true}, nil
				u.standing[r.Device] = known
			case on && there:
				known.Values[field] = true
			}
		}
	}
}
