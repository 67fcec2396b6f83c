// Package enrol is how a station comes by its certificate: with a code that the
// parent's operator made, later with the certificate itself.
//
// What it promises:
//
//   - The key is made here and never leaves. It is kept before it is asked for a
//     certificate, so that an answer that was lost on the line is got again with the
//     same code.
//   - The code goes to nobody but the authority whose print is in it: who vouches for
//     the parent is asked first, and held against the code.
//   - The place of an enrolment is a folder of its own; which folder counts is one
//     small file that is written last. A machine that dies in between has the old
//     enrolment or the new one, whole.
//   - A certificate and its key are one file. A renewal replaces it as a whole.
//
// Every failure is a problem that says what to do. Nothing here is logged that could
// let anybody in.
package enrol
