package folder

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Identity returns an identity that a file keeps and no copy of it has: its inode, and the
// time of its creation if the file system knows that. changed is when its content, name or
// mode last changed.
func Identity(f *os.File) (identity string, changed time.Time, err error) {
	var st unix.Statx_t
	if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_BTIME|unix.STATX_CTIME, &st); err != nil {
		return "", time.Time{}, fmt.Errorf("looking at %s: %w", f.Name(), err)
	}
	identity = fmt.Sprint(st.Ino)
	if st.Mask&unix.STATX_BTIME != 0 {
		identity += fmt.Sprintf(":%d.%09d", st.Btime.Sec, st.Btime.Nsec)
	}
	return identity, time.Unix(st.Ctime.Sec, int64(st.Ctime.Nsec)), nil
}

// Boot names the current run of the machine: it changes when the machine is restarted.
func Boot() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}
