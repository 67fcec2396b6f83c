// Package disk guards the free space of the volume that the station's data
// lies on, so that a full disk silences bulk readings and never a smoke
// detector.
//
// A Guard has watermarks, and a reserve file that is really allocated. Every
// writer asks Check with its lane before it writes; what is refused gets
// [station.ErrNoSpace] and nothing has been written. Bulk is refused first,
// then normal; for urgent the guard gives the reserve back to the file system,
// no more of it than is needed, and refuses only when not even the database's
// own needs would fit. The reserve is taken again when there is room.
//
// Nothing here blocks on anything but the file system, and nothing runs in the
// background: the guard looks when it is asked. A Guard may be used by any
// number of goroutines.
//
// On Windows a file's clusters are allocated when its length is set, so that
// [Reserve] has nothing to do there. On other systems without fallocate,
// Fallocate writes zeros, Reserve does nothing, and the free space is not asked.
package disk
