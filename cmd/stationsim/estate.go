package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stationd/agent/station"
	"stationd/devices/devicestest"
)

// estate plays a simulated housing estate: sensors of all payload families, with
// births and wills, faults and storms, the same for the same seed.
type estate struct {
	*devicestest.Estate
	story devicestest.Story
	lines []*line
	tally tally
}

// estateProfile reads "estate-500": the number is how many sensors.
func estateProfile(profile string) (count int, ok bool) {
	number, found := strings.CutPrefix(profile, "estate-")
	count, err := strconv.Atoi(number)
	return count, found && err == nil && count >= 1 && count <= 10_000
}

func (e *estate) sensors() []station.Sensor { return e.Sensors() }

// connect opens the lines, each with its will and its births.
func (e *estate) connect(ctx context.Context, cfg devicestest.Config) error {
	for i := range e.Lines {
		cfg.ClientID = e.Lines[i].Client
		l, err := openLine(ctx, cfg, func(l *line, o *paho.ClientOptions) {
			if will := e.Lines[i].Will; will != nil {
				o.SetBinaryWill(will.Topic, will.Payload, 1, will.Retain)
			}
			o.SetOnConnectHandler(func(c paho.Client) {
				for _, birth := range e.Lines[i].Births(time.Now()) {
					c.Publish(birth.Topic, 1, birth.Retain, birth.Payload)
				}
			})
		})
		if err != nil {
			e.close()
			return err
		}
		e.lines = append(e.lines, l)
	}
	return nil
}

func (e *estate) close() {
	var all sync.WaitGroup
	for _, l := range e.lines {
		all.Go(l.close)
	}
	all.Wait()
}

// run plays the story until ctx ends, and waits a moment for the rest. What is
// not acknowledged when a line breaks is sent again by the library and counts
// when it is.
func (e *estate) run(ctx context.Context) {
	began := time.Now()
	e.tally.mu.Lock()
	e.tally.began = began
	e.tally.mu.Unlock()
	giveUp := make(chan struct{})
	free := make(chan struct{}, maxUnderWay*max(1, len(e.lines)/4))
	var waits sync.WaitGroup
	for b := range e.Beats(e.story) {
		due := began.Add(b.At)
		if !wait(ctx, due) {
			break
		}
		switch b.What {
		case devicestest.Break:
			e.lines[b.Line].breakOff()
			continue
		case devicestest.Return:
			e.lines[b.Line].comeBack()
			continue
		}
		u := e.Units[b.Unit]
		b.Moment.At = time.Now()
		out := u.Say(b.Moment)
		if b.What == devicestest.Malformed {
			for i := range out {
				out[i].Payload = append([]byte("{\xff"), out[i].Payload[:len(out[i].Payload)/2]...)
				out[i].Retain = false
			}
		}
		for _, o := range out {
			e.publish(e.lines[u.Line], o, b.Moment.Alarm, due, free, &waits, giveUp)
		}
	}
	e.tally.mu.Lock()
	e.tally.ended = time.Now()
	e.tally.mu.Unlock()
	for _, l := range e.lines {
		l.comeBack()
	}
	late := time.AfterFunc(breakPatience, func() { close(giveUp) })
	waits.Wait()
	late.Stop()
}

// breakPatience is enough for a line that has just broken to come back.
const breakPatience = 8 * time.Second

// publish publishes and, behind the caller's back, waits for the acknowledgement.
// A reading that would be one too many on its way is left out and counted.
func (e *estate) publish(l *line, o devicestest.Out, alarm bool, due time.Time, free chan struct{}, waits *sync.WaitGroup, giveUp <-chan struct{}) {
	select {
	case free <- struct{}{}:
	default:
		if !alarm {
			e.tally.mu.Lock()
			e.tally.leftOut++
			e.tally.mu.Unlock()
			return
		}
		free <- struct{}{}
	}
	acknowledged, err := l.publish(o.Topic, o.Payload, o.Retain)
	e.tally.publish(err)
	if err != nil {
		<-free
		return
	}
	waits.Go(func() {
		defer func() { <-free }()
		select {
		case <-acknowledged:
			e.tally.acknowledge(time.Since(due), alarm)
		case <-giveUp:
		}
	})
}

// playEstate is `stationsim sensors --profile estate-N`.
func playEstate(ctx context.Context, e *estate, cfg devicestest.Config, span time.Duration, out io.Writer) error {
	if err := e.connect(ctx, cfg); err != nil {
		return err
	}
	defer e.close()
	fmt.Fprintf(out, "an estate of %d sensors on %d connections publishes %v readings/s to %s for %s, seed %d\n",
		len(e.Units), len(e.lines), e.story.Rate, cfg.URL, span, e.story.Seed)
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	var telling sync.WaitGroup
	telling.Go(func() {
		for wait(ctx, time.Now().Add(10*time.Second)) {
			e.tally.progress(out)
		}
	})
	e.run(ctx)
	telling.Wait()
	return e.tally.summary(out)
}
