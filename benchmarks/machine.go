package benchmarks

import (
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// Machine is where a report was made.
type Machine struct {
	CPU  string `json:"cpu,omitempty"` // model, where the system tells
	CPUs int    `json:"cpus"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
	Go   string `json:"go"`
	Load string `json:"load,omitempty"` // averages before the first step, where the system tells
}

func thisMachine() Machine {
	return Machine{
		CPU: cpuModel("/proc/cpuinfo"), CPUs: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Go: runtime.Version(), Load: load("/proc/loadavg"),
	}
}

// cpuModel reads Linux's list of CPUs, and is empty elsewhere.
func cpuModel(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// load is the averages over 1, 5 and 15 minutes, as Linux tells them.
func load(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	fields := bytes.Fields(text)
	if len(fields) < 3 {
		return ""
	}
	return string(bytes.Join(fields[:3], []byte(" ")))
}

// Module is a dependency as it was built.
type Module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

// modules are all that this program was built from, but for our own.
func modules() []Module {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	var all []Module
	for _, dep := range info.Deps {
		if dep.Replace == nil && dep.Version != "(devel)" {
			all = append(all, Module{dep.Path, dep.Version})
		}
	}
	return all
}
