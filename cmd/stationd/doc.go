// Command stationd is the one program on the PC of a city-operations station:
// sensors, cameras, cases, and the line to the centre. Given children instead
// of a parent it is the centre.
//
// This package is a list: the commands, the configuration composed of what each
// room needs, and the wiring that plugs the rooms together. No work is done
// here.
package main
