package store

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// badgerLog hands Badger's messages to our log. What Badger calls information is
// for those who look into Badger.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) say(level slog.Level, format string, args []any) {
	ctx := context.Background() // Badger has none to give
	if l.log.Enabled(ctx, level) {
		l.log.Log(ctx, level, "badger", slog.String("text", strings.TrimSpace(fmt.Sprintf(format, args...))))
	}
}

func (l badgerLog) Errorf(f string, a ...any)   { l.say(slog.LevelError, f, a) }
func (l badgerLog) Warningf(f string, a ...any) { l.say(slog.LevelWarn, f, a) }
func (l badgerLog) Infof(f string, a ...any)    { l.say(slog.LevelDebug, f, a) }
func (l badgerLog) Debugf(string, ...any)       {}
