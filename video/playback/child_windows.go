package playback

import (
	"os/exec"
	"syscall"
)

const idlePriority = 0x40 // IDLE_PRIORITY_CLASS

func yieldFirst(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: idlePriority} }

func yieldAfter(*exec.Cmd) {}
