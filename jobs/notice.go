package jobs

// Notice says that something has changed of which no event tells. Notices are not stored, and
// reach nobody outside this process: pages of the dashboard are rendered again by them.
type Notice struct {
	Tenant  string // empty if it concerns the hub and not one tenant
	Subject Subject
}

// Subject is what a Notice is about.
type Subject uint8

const (
	SchedulesChanged     Subject = iota + 1 // one was made, changed, deleted, or has fired
	WorkersChanged                          // one came, went, was heard from, got a directive, a job or lost one
	SettingsChanged                         // of a queue
	HandlersChanged                         // of the hub: another kind, or other slots in use; no tenant
	ConfigurationChanged                    // the configuration file and routes; no tenant
	TrafficChanged                          // a route has answered a request; no tenant
	WatchersChanged                         // a connection was opened or closed, or watches something else; no tenant
	LogChanged                              // there are events, of any tenant; no tenant
)
