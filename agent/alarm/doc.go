// Package alarm is the life of an alarm after ISA-18.2 and IEC 62682, as a pure
// machine: what a sensor's rules say about one condition goes in, with the time;
// what has to be stored, told and waited for comes out.
//
// A [Record] is one alarm condition of one sensor: whether it holds, what is
// waited for, and the one alarm that lives of it. It is stored between two steps.
// The steps are Signal (a rule has judged), Tick (a deadline has come), Settle (a
// person has answered), Shelve and Unshelve, Hide and Show, Serviced, Rearm and Gone. Each
// returns an [Outcome].
//
// The package has no store, no clock and starts nothing. Deadlines are [Tick]s,
// places on a line of time that no setting of the clock moves, so that a wrong
// clock neither raises nor loses an alarm; the wall clock's times are only noted.
//
// Life safety (smoke, gas, water, a call for help) is raised at once whatever a
// rule says of delays, counts and schedules, is never taken for chatter, hidden by
// a flood or shelved while it holds, and lives until a person has judged it.
package alarm
