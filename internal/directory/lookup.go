package directory

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
)

// ask joins the call under way for name, or makes one if the queue has a place.
func (d *Directory[T]) ask(ctx context.Context, name string, known bool) (*call[T], error) {
	if !known && d.config.Accepted != nil {
		if err := d.config.Accepted.Load(ctx); err != nil {
			return nil, err
		}
	}
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.calls[name]; c != nil {
		return c, nil
	}
	if err := d.missing(name, now); err != nil {
		return nil, err
	}
	l := &d.strangers
	if known || d.config.Accepted != nil && d.config.Accepted.Has(name) {
		l = &d.familiar
	}
	name = strings.Clone(name) // of a token, which must not stay in memory
	c := &call[T]{Flight: detached.NewFlight(), name: name, requested: now}
	if err := l.add(c); err != nil {
		return nil, err
	}
	d.calls[name] = c
	l.advance(now)
	return c, nil
}

// missing returns why name is not looked up at present, or nil. The lock is held.
func (d *Directory[T]) missing(name string, now time.Time) error {
	hash, at := d.hash(name), d.moment(now)
	if err := d.gaveWay.get(hash, at); err != nil {
		return err
	}
	return d.missed.get(hash, at)
}

// begin starts a call that got its place. The lock is held.
func (d *Directory[T]) begin(c *call[T]) {
	ctx, cancel := context.WithCancel(context.Background()) //nolint:gosec // run calls c.cancel
	c.cancel = cancel
	go d.run(ctx, c)
}

// giveUp lands a call with ErrBusy. The lock is held.
func (d *Directory[T]) giveUp(c *call[T]) {
	if d.calls[c.name] == c {
		delete(d.calls, c.name)
	}
	c.landed = true
	c.Land(ErrBusy)
}

// advanceLater advances a lane in which calls wait. The lock is held when it is
// called.
func (d *Directory[T]) advanceLater(l *lane[T]) {
	time.AfterFunc(laneInterval, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		l.timed = false
		l.advance(time.Now())
	})
}

// run looks the name of c up and lands c.
func (d *Directory[T]) run(ctx context.Context, c *call[T]) {
	open, over, err := detached.Do(ctx, callTimeout, func(timed context.Context) (Opener[T], error) {
		timed, cancel := context.WithCancel(timed)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		return d.config.Find(timed, c.name)
	})
	value, err := d.settle(c, open, err)
	d.land(c, value, err)
	<-over // a call that does not end keeps its place until it does
	c.cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	c.lane.end(c, time.Now())
}

// land tells the result of c to those who wait for it, unless it was given up.
func (d *Directory[T]) land(c *call[T], value *T, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !c.landed {
		c.landed, c.value = true, value
		c.Land(err)
	}
}

// settle opens the answer of Find and makes it the one of its name. It opens the
// answer again if the Directory was amended meanwhile.
func (d *Directory[T]) settle(c *call[T], open Opener[T], err error) (*T, error) {
	for {
		var a *answer[T]
		before, amended := d.version(c.name)
		if err == nil {
			a, err = d.open(open, before)
		}
		again, err := d.settled(c, a, err, amended)
		if again {
			continue
		}
		if err != nil {
			return nil, err
		}
		return a.value, nil
	}
}

// version returns the value of name and how often the Directory was amended.
func (d *Directory[T]) version(name string) (*T, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Known(name), d.amended
}

// open makes an answer with the value that the Opener returns.
func (d *Directory[T]) open(open Opener[T], before *T) (a *answer[T], err error) {
	defer func() {
		if recover() != nil {
			a, err = nil, ErrOpen
		}
	}()
	now := d.moment(time.Now())
	value, err := open(before)
	if err != nil {
		return nil, err
	}
	return newAnswer(value, now), nil
}

// settled applies the result of a call, and returns the error for its callers. The
// result is discarded if the name was forgotten during the call. again is true if
// the Directory was amended during the call: the answer has to be opened again.
func (d *Directory[T]) settled(c *call[T], a *answer[T], err error, amended int) (again bool, _ error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name, now := c.name, d.moment(time.Now())
	e := d.table.get(name)
	switch {
	case d.calls[name] != c:
		return false, errForgotten
	case err == nil && amended != d.amended:
		return true, nil
	case err == nil:
		d.put(name, a)
	case errors.Is(err, d.config.Unknown):
		if e != nil {
			d.remove(e)
		}
		d.drop(name)
		if d.config.Accepted != nil {
			d.config.Accepted.Remove(name)
		}
		d.missed.add(d.hash(name), d.config.Unknown, now, missPause)
	default:
		var later *answer[T]
		if e != nil {
			later = e.answer.Load().postponed(now)
		}
		if later != nil {
			e.answer.Store(later)
		} else {
			d.missed.add(d.hash(name), err, now, retryPause)
		}
	}
	delete(d.calls, name)
	return false, err
}

// put makes a the answer of name. The lock is held.
func (d *Directory[T]) put(name string, a *answer[T]) {
	d.unmiss(name)
	next := newEntry(name, a)
	if e := d.table.get(name); e != nil {
		if e.answer.Load().value == a.value {
			e.answer.Store(a)
			return
		}
		next.accepted.Store(e.accepted.Load())
		d.remove(e)
	}
	d.insert(next)
}
