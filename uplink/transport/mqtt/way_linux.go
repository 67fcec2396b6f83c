package mqtt

import (
	"net"
	"syscall"
)

// bindTo makes connections leave by an interface, whatever the routes say.
func bindTo(d *net.Dialer, name string) error {
	d.Control = func(_, _ string, c syscall.RawConn) error {
		var err error
		if failed := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptString(int(fd), syscall.SOL_SOCKET, syscall.SO_BINDTODEVICE, name)
		}); failed != nil {
			return failed
		}
		return err
	}
	return nil
}
