// Package account says who people are and what they may do: roles and their
// permissions, one Authorize that denies by default, passwords, sessions and
// the limits on guessing.
//
// It promises to be pure: it keeps no store and starts nothing. Hashing a
// password takes tens of milliseconds and 19 MiB on purpose; never do it while
// holding a transaction.
package account
