package agent

import "context"

// Turn meets the deadlines that have come, as the loop of Run does.
func (a *Agent) Turn(ctx context.Context) error {
	if _, err := a.fireTimers(ctx); err != nil {
		return err
	}
	if err := a.turnSchedules(ctx); err != nil {
		return err
	}
	return a.keepSteady(ctx)
}
