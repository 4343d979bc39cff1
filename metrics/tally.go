package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-auth/sallyport/validator"
)

// maxLabels is the most labels that a series has.
const maxLabels = 4

// id identifies a series.
type id struct {
	of     *series
	labels [maxLabels]string
}

// tally is the values of a scrape. Values of one series that come from several issuers or
// Validators are joined.
type tally struct {
	values     map[id]float64
	histograms map[id]validator.Durations
}

func newTally() tally {
	return tally{make(map[id]float64), make(map[id]validator.Durations)}
}

func idOf(of *series, labels []string) id {
	i := id{of: of}
	copy(i.labels[:], labels)
	return i
}

// add adds a value.
func (t tally) add(of *series, value float64, labels ...string) {
	t.values[idOf(of, labels)] += value
}

// most keeps the greatest value.
func (t tally) most(of *series, value float64, labels ...string) {
	i := idOf(of, labels)
	if known, ok := t.values[i]; !ok || value > known {
		t.values[i] = value
	}
}

// least keeps the smallest value.
func (t tally) least(of *series, value float64, labels ...string) {
	i := idOf(of, labels)
	if known, ok := t.values[i]; !ok || value < known {
		t.values[i] = value
	}
}

// addDurations adds a histogram.
func (t tally) addDurations(of *series, d validator.Durations, labels ...string) {
	t.mergeDurations(idOf(of, labels), d)
}

func (t tally) mergeDurations(i id, d validator.Durations) {
	sum := validator.Durations{Count: d.Count, Sum: d.Sum, Within: make(map[time.Duration]uint64, len(d.Within))}
	known := t.histograms[i]
	sum.Count += known.Count
	sum.Sum += known.Sum
	for bound, n := range d.Within {
		sum.Within[bound] = n + known.Within[bound]
	}
	t.histograms[i] = sum
}

// merge adds the values of other, which are counters.
func (t tally) merge(other tally) {
	for i, value := range other.values {
		t.values[i] += value
	}
	for i, d := range other.histograms {
		t.mergeDurations(i, d)
	}
}

// keep drops the series of issuers that have no label in labels. The values are counters of
// Validators: all their families with labels begin with that of the issuer.
func (t tally) keep(labels map[string]bool) {
	for i := range t.values {
		if issuer := i.labels[0]; issuer != "" && !labels[issuer] {
			delete(t.values, i)
		}
	}
	for i := range t.histograms {
		if !labels[i.labels[0]] {
			delete(t.histograms, i)
		}
	}
}

// send sends all series.
func (t tally) send(to chan<- prometheus.Metric) {
	for i, value := range t.values {
		m, err := prometheus.NewConstMetric(i.of.desc, i.of.value, value, i.labels[:i.of.labels]...)
		if err != nil { // labels are valid UTF-8, so this cannot be
			m = prometheus.NewInvalidMetric(i.of.desc, err)
		}
		to <- m
	}
	for i, d := range t.histograms {
		within := make(map[float64]uint64, len(d.Within))
		for bound, n := range d.Within {
			within[bound.Seconds()] = n
		}
		m, err := prometheus.NewConstHistogram(i.of.desc, d.Count, d.Sum.Seconds(), within, i.labels[:i.of.labels]...)
		if err != nil {
			m = prometheus.NewInvalidMetric(i.of.desc, err)
		}
		to <- m
	}
}
