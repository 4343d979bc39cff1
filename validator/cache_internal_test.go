package validator

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// CacheSize returns how many tokens are in the cache of v, and its estimate of their
// memory.
func CacheSize(v *Validator) (tokens, bytes int) { return v.cache.size() }

// MaxNegatives is how many refused tokens are remembered at most.
const MaxNegatives = maxNegatives

// NegativesSize returns how many refused tokens v remembers.
func NegativesSize(v *Validator) int {
	v.negatives.mu.Lock()
	defer v.negatives.mu.Unlock()
	return v.negatives.list.Len()
}

// InUse returns how many tokens in the cache of v were presented more than once.
func InUse(v *Validator) (tokens int) {
	for i := range v.cache.shards {
		s := &v.cache.shards[i]
		s.mu.Lock()
		tokens += s.settled.list.Len()
		s.mu.Unlock()
	}
	return tokens
}

// testCache returns a cache with these bounds. 0 bytes means that there is no bound.
func testCache(t *testing.T, entries, bytes int) *cache {
	t.Helper()
	f := fault.In("validator")
	c := newCache(CacheConfig{Entries: entries, Bytes: bytes}.checked(f))
	if err := f.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

// numbered is the digest of the nth token of a kind.
func numbered(kind byte, n int) digest {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte{kind}, uint64(n)))
}

// sights are uses of the tokens of one kind.
type sights struct {
	cache      *cache
	kind       byte
	text       int32
	seen, hits int
}

// see is one use of a token.
func (s *sights) see(n int) {
	d := numbered(s.kind, n)
	s.seen++
	if s.cache.get(d) != nil {
		s.hits++
		return
	}
	s.cache.add(d, &entry{textBytes: s.text})
}

// TestScan: a scan of a million tokens that are used once leaves the hot ones,
// be they seen all the time or only before and after it.
func TestScan(t *testing.T) {
	const million = 1_000_000
	for _, row := range []struct {
		name  string
		hot   int // tokens in use
		every int // one of them after so many that are used once; 0: none during the scan
		scan  int
		text  int32 // length of those that are used once
	}{
		{"one after each", 6000, 1, million / 10, 500},
		{"one after ten", 7500, 10, million, 500},
		{"one after ten long ones", 6000, 10, million / 10, 12_000},
		{"none", 7500, 0, million / 10, 500},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := testCache(t, 0, 0)
			hot, once := &sights{cache: c, kind: 'h', text: 500}, &sights{cache: c, kind: 'o', text: row.text}
			for n := range 2 * row.hot {
				hot.see(n % row.hot)
			}
			hot.seen, hot.hits = 0, 0
			for n := range row.scan {
				once.see(n)
				if row.every != 0 && n%row.every == 0 {
					hot.see(n / row.every % row.hot)
				}
			}
			for n := range row.hot {
				hot.see(n)
			}
			t.Logf("%d of %d hits", hot.hits, hot.seen)
			if hot.hits*10 < hot.seen*9 {
				t.Errorf("%d hits of %d", hot.hits, hot.seen)
			}
			if once.hits != 0 {
				t.Errorf("%d hits of tokens that were used once", once.hits)
			}
		})
	}
}

// TestScanWhileTokensAge: tokens in use that are verified anew, as each is when
// TTL is over, need not prove themselves again.
func TestScanWhileTokensAge(t *testing.T) {
	const hot, rounds = 5000, 4
	c := testCache(t, 0, 0)
	once := &sights{cache: c, kind: 'o', text: 500}
	used := &sights{cache: c, kind: 'h', text: 500}
	for n := range 2 * hot {
		used.see(n % hot)
	}
	for range rounds {
		for n := range hot { // all are too old at once
			c.add(numbered('h', n), &entry{textBytes: 500})
		}
		for range 10 * hot {
			once.see(once.seen)
		}
		found := 0
		for n := range hot {
			if c.get(numbered('h', n)) != nil {
				found++
			}
		}
		if found < hot*9/10 {
			t.Fatalf("%d of %d are left", found, hot)
		}
	}
}

// TestFewPlaces: the smallest caches keep a new token too, whatever was in use
// before.
func TestFewPlaces(t *testing.T) {
	for entries := shards; entries < 12*shards; entries += shards / 2 {
		c := testCache(t, entries, 0)
		for n := range 20 * entries {
			for range 2 {
				if c.get(numbered('u', n)) == nil {
					c.add(numbered('u', n), &entry{textBytes: 3000})
				}
			}
		}
		for n := range 100 {
			d, v := numbered('n', n), &entry{textBytes: 3000}
			c.add(d, v)
			for range 2 {
				if c.get(d) != v {
					t.Fatalf("%d entries: a new token is not kept", entries)
				}
			}
		}
	}
}

// TestBigTokens: long tokens displace no more than the share of those that came
// once, also if one is longer than a shard.
func TestBigTokens(t *testing.T) {
	c := testCache(t, 0, 0)
	const hot = 5000
	for _, n := range append(rand.Perm(hot), rand.Perm(hot)...) {
		if d := numbered('h', n); c.get(d) == nil {
			c.add(d, &entry{textBytes: 2500})
		}
	}
	for n := range 10_000 {
		c.add(numbered('b', n), &entry{textBytes: 1 << (10 + n%11)})
	}
	found := 0
	for n := range hot {
		if c.get(numbered('h', n)) != nil {
			found++
		}
	}
	if found < hot*9/10 {
		t.Errorf("%d of %d are left", found, hot)
	}
	for i := range c.shards {
		checkShard(t, &c.shards[i])
	}
}

// checkShard: the sums are right and within the bounds, and nothing is in both
// lists.
func checkShard(t *testing.T, s *shard) {
	t.Helper()
	for _, list := range []*segment{&s.probation, &s.settled} {
		sum := 0
		for _, v := range list.list.Values() {
			sum += v.bytes()
		}
		if sum != list.bytes {
			t.Fatalf("%d bytes, counted as %d", sum, list.bytes)
		}
	}
	for _, d := range s.probation.list.Keys() {
		if s.settled.list.Contains(d) {
			t.Fatal("one token is in both lists")
		}
	}
	for i := range 2 * len(s.front) {
		if v := s.front[i/2][i%2].Load(); v != nil {
			if kept, _ := s.settled.list.Peek(v.digest); kept != v {
				t.Fatal("what is in front is not settled")
			}
		}
	}
	if n := s.probation.list.Len() + s.settled.list.Len(); n > s.entries {
		t.Fatalf("%d entries of %d", n, s.entries)
	}
	if n := s.probation.bytes + s.settled.bytes; n > s.bytes {
		t.Fatalf("%d bytes of %d", n, s.bytes)
	}
}

// model is a shard without anything clever: lists from the last put to the one
// put longest ago.
type model struct {
	probation, settled []modelEntry
	entries, bytes     int
}

type modelEntry struct {
	digest digest
	kept   *entry
	used   bool
}

func modelBytes(list []modelEntry) int {
	sum := 0
	for _, e := range list {
		sum += e.kept.bytes()
	}
	return sum
}

func take(list *[]modelEntry, d digest) *entry {
	i := slices.IndexFunc(*list, func(e modelEntry) bool { return e.digest == d })
	if i < 0 {
		return nil
	}
	kept := (*list)[i].kept
	*list = slices.Delete(*list, i, i+1)
	return kept
}

func putFront(list *[]modelEntry, e modelEntry) { *list = slices.Insert(*list, 0, e) }

func takeLast(list *[]modelEntry) modelEntry {
	last := (*list)[len(*list)-1]
	*list = (*list)[:len(*list)-1]
	return last
}

func takeUnused(list *[]modelEntry) modelEntry {
	e := takeLast(list)
	for passed := 0; e.used && passed < 64; passed++ {
		e.used = false
		putFront(list, e)
		e = takeLast(list)
	}
	e.used = false
	return e
}

// fifth is rounded up.
func fifth(n int) int { return (n + 4) / 5 }

func (m *model) get(d digest) *entry {
	if i := slices.IndexFunc(m.settled, func(e modelEntry) bool { return e.digest == d }); i >= 0 {
		m.settled[i].used = true
		return m.settled[i].kept
	}
	kept := take(&m.probation, d)
	if kept == nil {
		return nil
	}
	putFront(&m.settled, modelEntry{digest: d, kept: kept})
	for len(m.settled) > m.entries-fifth(m.entries) || modelBytes(m.settled) > m.bytes-fifth(m.bytes) {
		putFront(&m.probation, takeUnused(&m.settled))
	}
	return kept
}

func (m *model) add(d digest, v *entry) {
	list := &m.probation
	if take(&m.settled, d) != nil {
		list = &m.settled
	}
	take(&m.probation, d)
	putFront(list, modelEntry{digest: d, kept: v})
	for len(m.probation)+len(m.settled) > m.entries || modelBytes(m.probation)+modelBytes(m.settled) > m.bytes {
		if len(m.probation) > fifth(m.entries) || modelBytes(m.probation) > fifth(m.bytes) || len(m.settled) == 0 {
			takeLast(&m.probation)
		} else {
			takeUnused(&m.settled)
		}
	}
}

func (m *model) drop(d digest, v *entry) {
	for _, list := range []*[]modelEntry{&m.probation, &m.settled} {
		if i := slices.IndexFunc(*list, func(e modelEntry) bool { return e.digest == d && e.kept == v }); i >= 0 {
			*list = slices.Delete(*list, i, i+1)
		}
	}
}

// equal compares a list of the shard with one of the model.
func equal(s *segment, list []modelEntry) bool {
	keys := s.list.Keys() // from the oldest on
	slices.Reverse(keys)
	return slices.EqualFunc(keys, list, func(d digest, e modelEntry) bool {
		kept, _ := s.list.Peek(d)
		return d == e.digest && kept == e.kept && kept.used.Load() == e.used
	}) && s.bytes == modelBytes(list)
}

// FuzzShard: a shard does what a naive model does, in whatever order it is
// used. Each operation is three bytes: what, which token, how long.
func FuzzShard(f *testing.F) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, seed))
		ops := make([]byte, 3*600)
		for i := range ops {
			ops[i] = byte(r.Uint32())
		}
		f.Add(ops, byte(r.Uint32()), byte(r.Uint32()))
	}
	f.Add([]byte{1, 1, 255, 1, 1, 255, 0, 1, 0, 1, 2, 255, 0, 2, 0, 1, 1, 1}, byte(0), byte(0))
	f.Fuzz(func(t *testing.T, ops []byte, entries, bytes byte) {
		c := new(cache)
		s := &c.shards[0]
		s.entries, s.bytes = 1+int(entries)%24, 1+int(bytes)*(entryOverhead+200)/8
		s.probation, s.settled, s.front = newSegment(), newSegment(), make([][2]atomic.Pointer[entry], 4)
		m := &model{entries: s.entries, bytes: s.bytes}
		var last *entry
		for ; len(ops) >= 3; ops = ops[3:] {
			d := digest{0, ops[1] % 40}
			switch ops[0] % 8 {
			case 0, 1, 2, 3:
				if got, want := c.get(d), m.get(d); got != want {
					t.Fatalf("got %v, want %v", got, want)
				}
			case 4, 5, 6:
				last = &entry{textBytes: int32(ops[2]) * int32(ops[2]) / 16}
				c.add(d, last)
				m.add(d, last)
			default:
				v, _ := s.settled.list.Peek(d)
				if v == nil || ops[2]%4 == 0 { // also one that is not kept
					v = last
				}
				if v != nil {
					c.drop(v)
					m.drop(v.digest, v)
				}
			}
			checkShard(t, s)
			if !equal(&s.probation, m.probation) || !equal(&s.settled, m.settled) {
				t.Fatal("the shard differs from the model")
			}
		}
	})
}

// TestDigest: the digest is keyed, and tells tokens of all lengths apart.
func TestDigest(t *testing.T) {
	a, b := newSelection(), newSelection()
	seen := map[digest]int{}
	text := make([]byte, 0, 12*digestPiece)
	for n := range cap(text) {
		d := a.digest(string(text))
		if other, found := seen[d]; found {
			t.Fatalf("%d and %d bytes have one digest", other, n)
		}
		if d == b.digest(string(text)) || d == sha256.Sum256(text) {
			t.Fatal("the digest is not keyed")
		}
		if d != a.digest(string(text)) {
			t.Fatal("the digest is not the same the second time")
		}
		seen[d] = n
		text = append(text, 'a')
	}
}

// TestFront checks that a token in use is found without the lists, that nothing else
// is found in its place, and that it takes one place however often it is shown.
func TestFront(t *testing.T) {
	c := testCache(t, 0, 0)
	e := new(entry)
	c.add(numbered('f', 1), e)
	c.get(numbered('f', 1)) // settles it
	s := c.shard(e.digest)
	s.show(e)
	if places := s.places(e.digest); places[0].Load() != e || places[1].Load() != nil {
		t.Error("a token takes more than one place")
	}
	other := &entry{digest: e.digest}
	other.digest[31]++ // has the same places
	s.show(other)
	s.probation, s.settled = newSegment(), newSegment()
	if c.get(e.digest) != e || c.get(other.digest) != other {
		t.Error("a token in use is not found in front")
	}
	unknown := e.digest
	unknown[30]++
	if c.get(unknown) != nil {
		t.Error("a token is found in the place of others")
	}
}

// TestDropsOwnVerdictOnly: what was found outdated goes, and not what someone
// else has put in its place meanwhile.
func TestDropsOwnVerdictOnly(t *testing.T) {
	for _, settled := range []bool{false, true} {
		c := testCache(t, 0, 0)
		d, outdated, current := numbered('d', 1), &entry{}, &entry{}
		c.add(d, outdated)
		if settled {
			c.get(d)
		}
		c.add(d, current)
		c.drop(outdated)
		if c.get(d) != current {
			t.Fatal("the verdict of another is dropped")
		}
		c.drop(current)
		if c.get(d) != nil {
			t.Fatal("it is kept")
		}
		checkShard(t, c.shard(d))
	}
}

// TestCacheDefaults: what the zero value is, and what New makes of the bounds.
func TestCacheDefaults(t *testing.T) {
	for _, row := range []struct {
		config, want CacheConfig
	}{
		{CacheConfig{}, CacheConfig{Entries: 10_000, Bytes: 40_960_000, TTL: 5 * time.Minute}},
		{CacheConfig{Entries: 64}, CacheConfig{Entries: 64, Bytes: 4 << 20, TTL: 5 * time.Minute}},
		{CacheConfig{Entries: 2000, TTL: time.Second}, CacheConfig{Entries: 2000, Bytes: 8_192_000, TTL: time.Second}},
		{CacheConfig{Bytes: 5 << 20, TTL: time.Hour}, CacheConfig{Entries: 10_000, Bytes: 5 << 20, TTL: time.Hour}},
	} {
		f := fault.In("validator")
		if got := row.config.checked(f); got != row.want || f.Err() != nil {
			t.Errorf("%+v is %+v, %v", row.config, got, f.Err())
		}
	}
	c := testCache(t, 6400, 64<<20)
	if s := &c.shards[63]; s.entries != 100 || s.bytes != 1<<20 {
		t.Errorf("%d entries, %d bytes", s.entries, s.bytes)
	}
	if newCache(CacheConfig{Off: true}) != nil {
		t.Error("there is a cache although it is off")
	}
}
