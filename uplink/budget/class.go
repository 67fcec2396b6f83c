package budget

import "slices"

// Class is what a part of the line is used for. Whoever stands first goes first.
type Class string

// The classes, in their order.
const (
	Control    Class = "control"    // alarms, states, cases, commands, signals
	Conference Class = "conference" // a conference's sound
	Share      Class = "share"      // its shared screen and who speaks
	Camera     Class = "camera"     // cameras that were called up
	Wall       Class = "wall"       // small pictures on the centre's wall
	Clips      Class = "clips"      // films of alarms
	Backlog    Class = "backlog"    // readings
)

var classes = []Class{Control, Conference, Share, Camera, Wall, Clips, Backlog}

// Classes lists them, the first first.
func Classes() []Class { return slices.Clone(classes) }

func (c Class) order() int { return slices.Index(classes, c) }

// waits tells whether c can be made to wait: the rest is sent as it comes.
func (c Class) waits() bool { return c == Control || c == Clips || c == Backlog }

// live tells whether c is admitted, and conference whether it may use the reserve.
func (c Class) live() bool       { return c == Conference || c == Share || c == Camera || c == Wall }
func (c Class) conference() bool { return c == Conference || c == Share }
