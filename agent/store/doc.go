// Package store keeps what the station must not lose: its state as records, and
// the journal of what happened, in one Badger database, written together.
//
// What it promises:
//
//   - When Update returns nil, its writes are on the disk and survive the loss
//     of power. All of them are there, or none.
//   - Updates run one after the other, on one goroutine, in the order in which
//     they were asked for. What is waiting is committed together, with one sync;
//     while that is under way the next commit is put together above it. Whoever
//     has built on what is on its way, or only read it, is answered after it.
//     An update that fails or panics loses only its own writes.
//   - The journal has one sequence over all lanes. Each lane can be read from
//     any place without passing what lies in the others or was trimmed.
//   - Records of which a commit has many and that are written again and again (Keep)
//     lie together in one entry of the redo until they rest; whoever reads sees no
//     difference.
//   - Records only gain fields: Put keeps those that a newer version wrote and
//     this one does not know.
//   - Secrets lie sealed; the key is in a file beside the database.
//   - A full disk refuses bulk, then normal, and urgent last
//     ([stationd/agent/store/disk]). Badger maps its files into memory and would
//     be killed by the first page that finds no block; so the next log is
//     allocated before the batch that may need it, and tables are merged only
//     when there is room for the result.
//   - A database that is damaged is set aside whole and never repaired by
//     deleting: the newest good backup takes its place, under a new epoch, and
//     Opened tells.
//
// What it never does: lose what was acknowledged in order to start; hide that it
// started with less than it had; write while it does not know whether the last
// write arrived. After a commit that failed it refuses everything until it is
// opened again.
//
// Update blocks until its writes are durable, View and Read do not wait for
// writers. The queue of updates has a bound; at the bound Update waits, and ends
// with its context. All methods may be called from any goroutine, save that a
// function given to Update must not call Update, and must touch nothing but its
// Tx: it may run again. Close waits for the views, reads and backups that are
// under way; a view must not begin another one.
//
// In the directory lie core (the database), core.manifest (a copy of its
// MANIFEST), core.quarantine-* (damaged ones, the last three), backup (the last
// two), secret.key, node, reserve and lock.
//
// On Windows directories cannot be synced and Badger says so itself: there the
// promise about the loss of power is as good as NTFS's journal. The kill of the
// process loses nothing on any system.
package store
