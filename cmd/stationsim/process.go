package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// process is what a process had used at a moment, as Linux counts it.
type process struct {
	at  time.Time
	cpu time.Duration // of all its threads, user and system
	rss int64         // bytes of memory that it has
}

// clockTicks is a second in /proc, on every machine that Linux runs on.
const clockTicks = 100

// measure looks at a process.
func measure(pid int) (process, error) {
	p := process{at: time.Now()}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, fmt.Errorf("measure process %d: %w", pid, err)
	}
	// The name, in brackets, may hold anything.
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 22 {
		return p, fmt.Errorf("measure process %d: its figures cannot be read", pid)
	}
	var numbers [3]int64
	for i, at := range [3]int{11, 12, 21} { // utime, stime, rss of proc(5), counted from state
		if numbers[i], err = strconv.ParseInt(fields[at], 10, 64); err != nil {
			return p, fmt.Errorf("measure process %d: %w", pid, err)
		}
	}
	p.cpu = time.Duration(numbers[0]+numbers[1]) * time.Second / clockTicks
	p.rss = numbers[2] * int64(os.Getpagesize())
	return p, nil
}
