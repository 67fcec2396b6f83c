package playback

import (
	"os/exec"
	"syscall"
)

// yieldFirst sees to it that the child does not outlive this process.
func yieldFirst(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// yieldAfter gives it what nobody else wants of the processor. That it fails is no
// reason not to go on.
func yieldAfter(cmd *exec.Cmd) { _ = syscall.Setpriority(syscall.PRIO_PROCESS, cmd.Process.Pid, 19) }
