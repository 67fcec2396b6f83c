package playback

import (
	"context"
	"os/exec"
	"runtime"
	"time"
)

// child prepares a process that ends with ctx and takes the back seat: recording and
// alarms go before it.
func child(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 2 * time.Second
	yieldFirst(cmd)
	return cmd
}

// runChild runs it. The thread is kept for as long: the child's life hangs on it.
func runChild(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return err
	}
	yieldAfter(cmd)
	return cmd.Wait()
}
