package station

import "time"

// Wall is a saved arrangement of live pictures.
type Wall struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Layout is how many pictures are seen at once: 1, 4, 9 or 16.
	Layout int `json:"layout"`
	// Cameras are those of the tiles, in order; an empty one is an empty tile. More
	// than Layout go on further pages.
	Cameras []string `json:"cameras"`
}

// CameraGroup is cameras that belong together: 楼道, 出入口.
type CameraGroup struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Cameras []string `json:"cameras"`
}

// Tour looks at cameras one after the other (轮巡).
type Tour struct {
	ID    string     `json:"id"`
	Name  string     `json:"name"`
	Steps []TourStep `json:"steps"`
	// Dwell is for how many seconds each picture is looked at.
	Dwell int `json:"dwell"`
	// Confirm makes it a video patrol (视频巡查): what must be confirmed by a person.
	Confirm TourConfirm `json:"confirm,omitempty"`
	// Hours are the times in which it is due; none is whenever somebody likes.
	Hours []Window `json:"hours,omitempty"`
	// Every is after how many minutes, within Hours, it is due again; zero is once
	// each time.
	Every int `json:"every,omitempty"`
}

// TourStep is one camera, or all of a group.
type TourStep struct {
	Camera string `json:"camera,omitempty"`
	Group  string `json:"group,omitempty"`
	// Dwell is this step's own, in seconds; zero is the tour's.
	Dwell int `json:"dwell,omitempty"`
	// Preset is where a camera that moves looks.
	Preset string `json:"preset,omitempty"`
}

// TourConfirm is what of a tour a person confirms.
type TourConfirm string

// What is confirmed. The empty one is nothing.
const (
	ConfirmStep  TourConfirm = "step"  // each picture
	ConfirmRound TourConfirm = "round" // all pictures of a round at once
)

// TourView is a tour with when it was last gone and whether it is due.
type TourView struct {
	Tour Tour `json:"tour"`
	// Due tells that its hours have come and nobody has gone it.
	Due bool `json:"due"`
	// Open tells that its hours are now; of one without hours, always.
	Open bool `json:"open"`
	// Last is when a whole round of it ended, and LastBy who went it.
	Last   time.Time `json:"last,omitzero"`
	LastBy string    `json:"lastBy,omitempty"`
}

// Patrol is one round of a tour: who watched what when. Names are copied, so that it
// stays readable.
type Patrol struct {
	ID       string `json:"id"`
	Tour     string `json:"tour"`
	TourName string `json:"tourName"`
	By       string `json:"by"`
	Name     string `json:"name"`
	Seat     string `json:"seat,omitempty"`
	// Unattended tells that a display went it: nobody need have looked.
	Unattended bool      `json:"unattended,omitempty"`
	Started    time.Time `json:"started"`
	Ended      time.Time `json:"ended,omitzero"`
	// Complete tells that every picture was looked at, and confirmed where the tour
	// asks for that.
	Complete bool          `json:"complete,omitempty"`
	Views    []PatrolView  `json:"views"`
	Breaks   []PatrolBreak `json:"breaks,omitempty"`
	// Unseen is how many views are of cameras that who reads this may not see.
	Unseen int `json:"unseen,omitempty"`
}

// PatrolView is one camera's picture that was looked at.
type PatrolView struct {
	Camera string    `json:"camera"`
	Name   string    `json:"name"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	// Seconds is for how long it was on the screen between the two, Dark for how
	// many of them there was no picture, Times how often.
	Seconds int          `json:"seconds"`
	Dark    int          `json:"dark,omitempty"`
	Times   int          `json:"times,omitempty"`
	Result  PatrolResult `json:"result,omitempty"`
	Note    string       `json:"note,omitempty"`
	At      time.Time    `json:"at,omitzero"` // of the result
}

// PatrolResult is what a person said of a picture.
type PatrolResult string

// The results. The empty one is that nobody has said anything.
const (
	PatrolNormal PatrolResult = "normal" // 看过，正常
	PatrolNote   PatrolResult = "note"   // worth a note
	PatrolReport PatrolResult = "report" // to be dealt with: the next shift reads it too
)

// PatrolBreak is a time in which an alarm had the screen.
type PatrolBreak struct {
	Alarm string    `json:"alarm,omitempty"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to,omitzero"`
}

// PatrolOrder is the body of patrol.put: the round as it is so far. The last one of
// a round has Ended.
type PatrolOrder struct {
	Tour     string        `json:"tour"`
	Seat     string        `json:"seat,omitempty"`
	Started  time.Time     `json:"started"`
	Ended    time.Time     `json:"ended,omitzero"`
	Complete bool          `json:"complete,omitempty"`
	Views    []PatrolView  `json:"views"`
	Breaks   []PatrolBreak `json:"breaks,omitempty"`
}

// The types of command of walls and tours.
const (
	CommandPutWall     = "wall.put"            // Subject wall; body Wall
	CommandRemoveWall  = "wall.remove"         // Subject wall
	CommandPutGroup    = "camera-group.put"    // Subject group; body CameraGroup
	CommandRemoveGroup = "camera-group.remove" // Subject group
	CommandPutTour     = "tour.put"            // Subject tour; body Tour
	CommandRemoveTour  = "tour.remove"         // Subject tour
	CommandPutPatrol   = "patrol.put"          // Subject patrol; body PatrolOrder
)

// EventPatrol tells of a round of a tour, Patrol: at its beginning, with each word
// that is said, and at its end.
const EventPatrol = "cityops.patrol.v1"
