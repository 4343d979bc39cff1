package main

import "reflect"

// keyLimitsFile is [jwkscache.Limits] as people write it. Times are durations of Go, such
// as 30s; the other limits are numbers.
type keyLimitsFile struct {
	FetchTimeout      string `yaml:"fetch_timeout"`
	MetadataTimeout   string `yaml:"metadata_timeout"`
	DocumentBytes     *int   `yaml:"document_bytes"`
	Keys              *int   `yaml:"keys"`
	RSABits           *int   `yaml:"rsa_bits"`
	RSAExponent       *int   `yaml:"rsa_exponent"`
	MinFresh          string `yaml:"min_fresh"`
	MaxFresh          string `yaml:"max_fresh"`
	DefaultFresh      string `yaml:"default_fresh"`
	Stale             string `yaml:"stale"`
	MaxAge            string `yaml:"max_age"`
	MaxBackoff        string `yaml:"max_backoff"`
	MaxRetryAfter     string `yaml:"max_retry_after"`
	FilePoll          string `yaml:"file_poll"`
	UnknownInterval   string `yaml:"unknown_interval"`
	FruitlessInterval string `yaml:"fruitless_interval"`
	Fruitless         *int   `yaml:"fruitless"`
	Waiters           *int   `yaml:"waiters"`
}

// opaqueLimitsFile is [introspect.Limits] as people write it.
type opaqueLimitsFile struct {
	Timeout      string `yaml:"timeout"`
	Concurrency  *int   `yaml:"concurrency"`
	Queue        *int   `yaml:"queue"`
	QueueTimeout string `yaml:"queue_timeout"`
	AnswerBytes  *int   `yaml:"answer_bytes"`
	MaxHold      string `yaml:"max_hold"`
}

// limits returns the limits in file, a struct with the field names of Limits. Absent ones
// are zero, which means the default.
func limits[Limits any](c converter, file any) Limits {
	var all Limits
	from, to := reflect.ValueOf(file), reflect.ValueOf(&all).Elem()
	for field, value := range from.Fields() {
		at := c.at(field.Tag.Get("yaml"))
		switch written := value.Interface().(type) {
		case string:
			to.FieldByName(field.Name).SetInt(int64(at.limit(written, leaveOut)))
		case *int:
			to.FieldByName(field.Name).SetInt(int64(at.count(written)))
		}
	}
	return all
}
