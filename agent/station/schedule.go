package station

import (
	"time"
)

// Schedule says when the conditions that name it are watched: the weekly windows
// in which they are armed, and what holds on holidays. Times are the node's own.
type Schedule struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Windows are the times of an ordinary week.
	Windows []Window `json:"windows,omitempty"`
	// Holidays are dates, "2026-10-01", on which HolidayWindows stand in place of
	// Windows; their days of the week do not count.
	Holidays       []string `json:"holidays,omitempty"`
	HolidayWindows []Window `json:"holidayWindows,omitempty"`
}

// Window is a span of a day, or over midnight into the next.
type Window struct {
	// Days are the days on which it begins, 1 Monday to 7 Sunday; none is all.
	Days []int  `json:"days,omitempty"`
	From string `json:"from"` // "22:00"
	To   string `json:"to"`   // "06:00"; "24:00" is midnight, the same as From a whole day
}

// Mode is how the node works, and what it watches.
type Mode struct {
	Mode WorkMode `json:"mode"`
	// Armed is the switch for all that is watched by a schedule. What names none
	// is always watched, and life safety too.
	Armed bool `json:"armed"`
	// Schedules tells which of them watch now.
	Schedules map[string]bool `json:"schedules,omitempty"`
	// By, Name and At are of the last person who changed Mode or Armed.
	By   string    `json:"by,omitempty"`
	Name string    `json:"name,omitempty"`
	At   time.Time `json:"at,omitzero"`
}

// ModeOrder is the body of mode.put; what is left out stays.
type ModeOrder struct {
	Mode  WorkMode `json:"mode,omitempty"`
	Armed *bool    `json:"armed,omitempty"`
}

// minuteOf is the minute of the day of "22:00".
func minuteOf(text string) (int, error) {
	if text == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil {
		return 0, Errorf(400, "schedule.time", "write it as 22:00", "%q is no time of day", text)
	}
	return t.Hour()*60 + t.Minute(), nil
}

// Validate reports the first fault, with its place.
func (s Schedule) Validate() error {
	for _, list := range [][]Window{s.Windows, s.HolidayWindows} {
		if err := CheckWindows(list); err != nil {
			return err
		}
	}
	for _, h := range s.Holidays {
		if _, err := time.Parse(time.DateOnly, h); err != nil {
			return Errorf(400, "schedule.holiday", "write it as 2026-10-01", "%q is no date", h).At("holidays")
		}
	}
	return nil
}

// CheckWindows reports the first fault of a list of windows.
func CheckWindows(list []Window) error {
	for _, w := range list {
		if _, err := minuteOf(w.From); err != nil {
			return err
		}
		if _, err := minuteOf(w.To); err != nil {
			return err
		}
		for _, d := range w.Days {
			if d < 1 || d > 7 {
				return Errorf(400, "schedule.day", "1 is Monday, 7 is Sunday", "there is no day %d", d).At("windows.days")
			}
		}
	}
	return nil
}

// Watches tells whether the schedule is armed at a moment, in that moment's zone.
func (s Schedule) Watches(at time.Time) bool {
	return s.begun(at, at, 0) || s.begun(at.AddDate(0, 0, -1), at, 24*60)
}

// begun tells whether a window that begins on day covers at, which is so many
// minutes after that day's midnight beyond its own.
func (s Schedule) begun(day, at time.Time, beyond int) bool {
	minute := beyond + at.Hour()*60 + at.Minute()
	weekday := (int(day.Weekday())+6)%7 + 1
	windows, holiday := s.Windows, false
	for _, h := range s.Holidays {
		if h == day.Format(time.DateOnly) {
			windows, holiday = s.HolidayWindows, true
		}
	}
	for _, w := range windows {
		from, err1 := minuteOf(w.From)
		to, err2 := minuteOf(w.To)
		if err1 != nil || err2 != nil {
			continue // it was validated when it was set
		}
		if to <= from {
			to += 24 * 60
		}
		if minute >= from && minute < to && (holiday || onDay(w.Days, weekday)) {
			return true
		}
	}
	return false
}

func onDay(days []int, day int) bool {
	for _, d := range days {
		if d == day {
			return true
		}
	}
	return len(days) == 0
}
