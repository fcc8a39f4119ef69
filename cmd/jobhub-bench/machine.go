package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// machine describes the machine of the measurement.
type machine struct {
	CPU        string    `json:"cpu"`
	Cores      int       `json:"cores"`
	Kernel     string    `json:"kernel"`
	Go         string    `json:"go"`
	FileSystem string    `json:"file_system"` // type of that which holds --dir
	Load       string    `json:"load"`        // mean number of running tasks in the minute before
	At         time.Time `json:"at"`
}

func (m machine) String() string {
	return fmt.Sprintf("%s, %d cores, Linux %s, %s, %s; load before the run %s; %s.",
		m.CPU, m.Cores, m.Kernel, m.Go, m.FileSystem, m.Load, m.At.Format("2 January 2006"))
}

func thisMachine(dir string) machine {
	m := machine{CPU: "unknown CPU", Cores: runtime.NumCPU(), Kernel: "unknown", Go: runtime.Version(), FileSystem: fileSystem(dir), Load: "unknown", At: time.Now().UTC().Truncate(time.Second)}
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range bytes.Lines(info) {
		if name, value, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(release))
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(load), " ")
	}
	return m
}

// fileSystem is the type of the file system that holds dir: that of the mount with the
// longest path above it, the last one where several are at the same path.
func fileSystem(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "unknown"
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	best, found := "", "unknown"
	for line := range bytes.Lines(mounts) {
		mount, rest, ok := strings.Cut(string(line), " - ")
		columns := strings.Fields(mount)
		if !ok || len(columns) < 5 {
			continue
		}
		at := strings.ReplaceAll(columns[4], `\040`, " ")
		if within := at == "/" || dir == at || strings.HasPrefix(dir, at+"/"); within && len(at) >= len(best) {
			best, found = at, strings.Fields(rest)[0]
		}
	}
	return found
}
