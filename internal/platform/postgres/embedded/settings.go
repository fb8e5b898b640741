package embedded

import (
	"maps"
	"slices"
	"strconv"
)

// reservedSettings are those the package itself depends on: the server must
// stay on loopback, and its log must reach the file that errors quote.
func reservedSettings() []string {
	return []string{
		"config_file", "data_directory", "hba_file", "lc_messages", "listen_addresses",
		"log_destination", "logging_collector", "port", "unix_socket_directories",
	}
}

// serverArgs are the command line of postgres. Settings are given there rather
// than in postgresql.conf, so that data made by an older release of this
// program run with the settings of the present one.
func serverArgs(cfg Config, data string, port int) []string {
	settings := map[string]string{
		"max_connections": "100",
		"shared_buffers":  "128MB",
		"timezone":        "UTC",
		"log_timezone":    "UTC",
	}
	if cfg.Ephemeral {
		settings["fsync"] = "off"
		settings["synchronous_commit"] = "off"
		settings["full_page_writes"] = "off"
	}
	maps.Copy(settings, cfg.Settings)

	settings["listen_addresses"] = "127.0.0.1"
	settings["port"] = strconv.Itoa(port)
	settings["unix_socket_directories"] = ""
	settings["log_destination"] = "stderr"
	settings["logging_collector"] = "off"
	settings["lc_messages"] = "C" // launch.go reads the log

	args := []string{"-D", data}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}
