package devicestest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// TransmissionUnit is a simulated transmission unit (用户信息传输装置) of GB/T
// 26875.3. It writes and reads frames by itself, so that it agrees with the
// standard and not with the code that it tries out.
type TransmissionUnit struct {
	Address [6]byte // lowest byte first
	Zone    *time.Location

	mu     sync.Mutex
	conn   net.Conn
	serial uint16
}

// DialUnit connects a unit to a centre.
func DialUnit(ctx context.Context, centre string, address [6]byte) (*TransmissionUnit, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", centre)
	if err != nil {
		return nil, fmt.Errorf("connect transmission unit: %w", err)
	}
	return &TransmissionUnit{Address: address, Zone: time.FixedZone("+08:00", 8*3600), conn: c}, nil
}

// Close ends the connection.
func (u *TransmissionUnit) Close() error { return u.conn.Close() }

// Answer is what the centre says to a frame.
type Answer struct {
	Serial              uint16
	Source, Destination [6]byte
	Command             byte // 3 confirms, 6 denies
}

// Frame is the unit's next frame with these data; command 2 is a report.
func (u *TransmissionUnit) Frame(command byte, data []byte, at time.Time) []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.serial++
	f := []byte{'@', '@', byte(u.serial), byte(u.serial >> 8), 1, 1}
	f = append(f, u.label(at)...)
	f = append(f, u.Address[:]...)
	f = append(f, 0x38, 0x5b, 1, 0, 0, 0)
	f = binary.LittleEndian.AppendUint16(f, uint16(len(data)))
	f = append(append(f, command), data...)
	var sum byte
	for _, b := range f[2:] {
		sum += b
	}
	return append(f, sum, '#', '#')
}

// Report sends data as a report and waits for the answer, at most until ctx ends.
func (u *TransmissionUnit) Report(ctx context.Context, data []byte) (Answer, error) {
	if err := u.Write(u.Frame(2, data, time.Now())); err != nil {
		return Answer{}, err
	}
	return u.Answer(ctx)
}

// Heartbeat is an empty report.
func (u *TransmissionUnit) Heartbeat(ctx context.Context) (Answer, error) { return u.Report(ctx, nil) }

// Write sends bytes as they are.
func (u *TransmissionUnit) Write(b []byte) error {
	if _, err := u.conn.Write(b); err != nil {
		return fmt.Errorf("transmission unit: %w", err)
	}
	return nil
}

// Answer reads one answer. All that the centre sends has no data, and so thirty
// bytes.
func (u *TransmissionUnit) Answer(ctx context.Context) (Answer, error) {
	if deadline, ok := ctx.Deadline(); ok {
		if err := u.conn.SetReadDeadline(deadline); err != nil {
			return Answer{}, fmt.Errorf("transmission unit: %w", err)
		}
	}
	b := make([]byte, 30)
	if _, err := io.ReadFull(u.conn, b); err != nil {
		return Answer{}, fmt.Errorf("no answer to the transmission unit: %w", err)
	}
	var sum byte
	for _, c := range b[2:27] {
		sum += c
	}
	if b[0] != '@' || b[1] != '@' || b[28] != '#' || b[29] != '#' || b[27] != sum {
		return Answer{}, errors.New("the answer to the transmission unit is no frame")
	}
	return Answer{Serial: binary.LittleEndian.Uint16(b[2:]), Source: [6]byte(b[12:]), Destination: [6]byte(b[18:]), Command: b[26]}, nil
}

// PartState is the data of a report of one part: type 2. Bit 1 of state is fire.
func (u *TransmissionUnit) PartState(kind byte, zone, point, state uint16, description string, at time.Time) []byte {
	d := []byte{2, 1, 1, 1, kind}
	d = binary.LittleEndian.AppendUint16(d, zone)
	d = binary.LittleEndian.AppendUint16(d, point)
	d = binary.LittleEndian.AppendUint16(d, state)
	text, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(description))
	if err != nil {
		text = []byte("?")
	}
	field := make([]byte, 31)
	copy(field, text)
	return append(append(d, field...), u.label(at)...)
}

// Operation is the data of a report of what somebody did at a panel: type 4. Bit 0
// is a reset.
func (u *TransmissionUnit) Operation(system, address, bits byte, at time.Time) []byte {
	return append([]byte{4, 1, system, address, bits, 1}, u.label(at)...)
}

func (u *TransmissionUnit) label(t time.Time) []byte {
	t = t.In(u.Zone)
	return []byte{byte(t.Second()), byte(t.Minute()), byte(t.Hour()), byte(t.Day()), byte(t.Month()), byte(t.Year() % 100)}
}
