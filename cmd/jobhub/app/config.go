package app

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"

	"jobhub/jobs/egress"
	"jobhub/web"
	"jobhub/web/config"
)

// LoadConfig reads and checks a configuration file. notes are hints that are not errors. allow
// is --egress-allow, nil if that was not given.
func LoadConfig(path string, allow []netip.Prefix) (c *config.Config, notes []string, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("the configuration file can't be read: %w; check the path and its permissions", err)
	}
	return decodeConfig(path, data, allow)
}

func decodeConfig(path string, data []byte, allow []netip.Prefix) (c *config.Config, notes []string, err error) {
	if c, err = config.Decode(path, data); err != nil {
		return nil, nil, err
	}
	notes, wrong := c.PathConflicts(web.OwnPaths())
	if allow == nil {
		allow = c.EgressAllow
	}
	guard := egress.New(egress.Options{Allow: allow})
	wrong = append(wrong, c.CheckCallbacks(func(text string) error {
		u, err := url.Parse(text)
		if err != nil { // not after the file was read
			return err
		}
		if code, detail := guard.Refuses(u); code != "" {
			return errors.New(detail)
		}
		return nil
	})...)
	if len(wrong) > 0 {
		return nil, notes, wrong
	}
	return c, notes, nil
}
