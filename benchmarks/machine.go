package benchmarks

import (
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// Machine describes the machine of a report.
type Machine struct {
	CPU  string `json:"cpu,omitempty"` // the model, if it is known
	CPUs int    `json:"cpus"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
	Go   string `json:"go"`
	Load string `json:"load,omitempty"` // averages before the first step, if they are known
}

// ThisMachine returns the machine that this program runs on.
func ThisMachine() Machine {
	return Machine{
		CPU: cpuModel("/proc/cpuinfo"), CPUs: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Go: runtime.Version(), Load: load("/proc/loadavg"),
	}
}

// cpuModel returns the CPU model on Linux, and "" on other systems.
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

// load returns the load averages over 1, 5 and 15 minutes on Linux, and "" on other
// systems.
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

// Module is a module that this program was built from.
type Module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

// Modules returns all modules that this program was built from, except our own.
func Modules() []Module {
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
