package peer

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// logs hands pion's messages to slog. pion warns of much that is ordinary (a
// browser that was closed, a stranger's packet), so its warnings are for
// debugging, and only its errors are warnings. The rest is not formatted at
// all.
type logs struct{ log *slog.Logger }

// NewLogger names the part of pion that speaks.
func (l logs) NewLogger(scope string) logging.LeveledLogger {
	return scoped{l.log.With("part", scope)}
}

type scoped struct{ log *slog.Logger }

func (s scoped) Trace(string)          {}
func (s scoped) Tracef(string, ...any) {}
func (s scoped) Debug(string)          {}
func (s scoped) Debugf(string, ...any) {}
func (s scoped) Info(string)           {}
func (s scoped) Infof(string, ...any)  {}
func (s scoped) Warn(msg string)       { s.log.Debug("webrtc warns", "detail", msg) }
func (s scoped) Error(msg string)      { s.log.Warn("webrtc failed", "detail", msg) }

func (s scoped) Warnf(format string, args ...any) {
	if s.log.Enabled(context.Background(), slog.LevelDebug) {
		s.Warn(fmt.Sprintf(format, args...))
	}
}

func (s scoped) Errorf(format string, args ...any) { s.Error(fmt.Sprintf(format, args...)) }
