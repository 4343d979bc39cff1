package issuerkeys

import (
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// checkLimits sets the defaults of l and adds a fault for every field that is out
// of bounds.
func checkLimits(faults fault.List, l *jwkscache.Limits) {
	const day = 24 * time.Hour
	fault.Bound(faults, "FetchTimeout", &l.FetchTimeout, fetch.Timeout, time.Second, 30*time.Second)
	fault.Bound(faults, "MetadataTimeout", &l.MetadataTimeout, fetch.Timeout, time.Second, 30*time.Second)
	fault.Bound(faults, "MinFresh", &l.MinFresh, time.Minute, 10*time.Second, time.Hour)
	fault.Bound(faults, "MaxFresh", &l.MaxFresh, day, time.Minute, day)
	fault.Bound(faults, "DefaultFresh", &l.DefaultFresh, 10*time.Minute, 10*time.Second, day)
	fault.Bound(faults, "Stale", &l.Stale, time.Hour, time.Second, day)
	fault.Bound(faults, "MaxAge", &l.MaxAge, day, time.Minute, day)
	fault.Bound(faults, "MaxBackoff", &l.MaxBackoff, time.Minute, time.Second, time.Hour)
	fault.Bound(faults, "MaxRetryAfter", &l.MaxRetryAfter, 5*time.Minute, time.Second, time.Hour)
	fault.Bound(faults, "FilePoll", &l.FilePoll, 5*time.Second, time.Second, time.Hour)
	fault.Bound(faults, "UnknownInterval", &l.UnknownInterval, time.Second, time.Second, time.Minute)
	fault.Bound(faults, "FruitlessInterval", &l.FruitlessInterval, 5*time.Second, time.Second, 5*time.Minute)
	fault.Bound(faults, "DocumentBytes", &l.DocumentBytes, fetch.MaxBytes, 1<<10, 4*fetch.MaxBytes)
	fault.Bound(faults, "Keys", &l.Keys, 1000, 1, 1000)
	fault.Bound(faults, "RSABits", &l.RSABits, 4096, 2048, 8192)
	fault.Bound(faults, "RSAExponent", &l.RSAExponent, 65537, 65537, 1<<31-1)
	fault.Bound(faults, "Fruitless", &l.Fruitless, 10, 1, 100)
	fault.Bound(faults, "Waiters", &l.Waiters, 1000, 1, 100_000)
	if l.MinFresh > l.MaxFresh {
		faults.At("MinFresh").Addf("raise MaxFresh or lower MinFresh", "is %v and exceeds MaxFresh, which is %v", l.MinFresh, l.MaxFresh)
	}
	if l.UnknownInterval > l.FruitlessInterval {
		faults.At("UnknownInterval").Addf("raise FruitlessInterval or lower UnknownInterval", "is %v and exceeds FruitlessInterval, which is %v",
			l.UnknownInterval, l.FruitlessInterval)
	}
}

// checkSharedLimits sets the defaults of l and returns a fault for every field that
// is out of bounds.
func checkSharedLimits(l *jwkscache.SharedLimits) error {
	faults := fault.In("jwkscache")
	fault.Bound(faults, "Waiters", &l.Waiters, 4000, 1, 1_000_000)
	fault.Bound(faults, "Fetches", &l.Fetches, 64, 4, 10_000)
	fault.Bound(faults, "UnknownKids", &l.UnknownKids, 50, 4, 10_000)
	fault.Bound(faults, "Missing", &l.Missing, 100, 4, 10_000)
	fault.Bound(faults, "KeyBytes", &l.KeyBytes, 256<<20, 1<<20, 64<<30)
	return faults.Err()
}
