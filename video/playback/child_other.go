//go:build !linux && !windows

package playback

import "os/exec"

func yieldFirst(*exec.Cmd) {}

func yieldAfter(*exec.Cmd) {}
