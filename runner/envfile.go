package runner

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxEnvFile bounds an env_file, in bytes.
const maxEnvFile = 1 << 20

// readEnvFile reads lines of KEY=VALUE. Empty lines and lines that start with #
// are skipped, "export " before a key is allowed, and one pair of quotes around
// the value is taken off. Nothing is expanded. Errors name the line.
func readEnvFile(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read env_file: %v", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxEnvFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read env_file: %v", err)
	}
	if len(data) > maxEnvFile {
		return nil, fmt.Errorf("cannot read env_file %s: it is larger than %d bytes", path, maxEnvFile)
	}
	var env []string
	number := 0
	for line := range bytes.Lines(data) {
		number++
		entry, err := parseEnvLine(strings.TrimSpace(string(line)))
		if err != nil {
			return nil, fmt.Errorf("cannot read env_file %s, line %d: %v", path, number, err)
		}
		if entry != "" {
			env = append(env, entry)
		}
	}
	return env, nil
}

func parseEnvLine(line string) (string, error) {
	if line == "" || line[0] == '#' {
		return "", nil
	}
	line = strings.TrimPrefix(line, "export ")
	key, value, ok := strings.Cut(line, "=")
	if !ok {
		return "", fmt.Errorf("%q has no = between key and value", clip(line, 60))
	}
	key = strings.TrimSpace(key)
	if key == "" || strings.ContainsAny(key, " \t\x00\"'") {
		return "", fmt.Errorf("%q is not a variable name", clip(key, 60))
	}
	value = strings.TrimSpace(value)
	if value != "" && (value[0] == '"' || value[0] == '\'') {
		if len(value) < 2 || value[len(value)-1] != value[0] {
			return "", fmt.Errorf("the quote of the value of %s is never closed", key)
		}
		value = value[1 : len(value)-1]
	}
	if strings.ContainsRune(value, 0) {
		return "", fmt.Errorf("the value of %s holds a zero byte", key)
	}
	return key + "=" + value, nil
}

// clip shortens s for a message.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}

// mergeEnv joins lists of KEY=VALUE; a later entry replaces an earlier one.
func mergeEnv(lists ...[]string) []string {
	var env []string
	at := make(map[string]int)
	for _, list := range lists {
		for _, entry := range list {
			key, _, _ := strings.Cut(entry, "=")
			if i, ok := at[key]; ok {
				env[i] = entry
				continue
			}
			at[key] = len(env)
			env = append(env, entry)
		}
	}
	return env
}

// getEnv returns the value of key in a merged list.
func getEnv(env []string, key string) string {
	for _, entry := range env {
		if k, v, _ := strings.Cut(entry, "="); k == key {
			return v
		}
	}
	return ""
}

// baseEnv is all that children see of the node's own environment.
func baseEnv() []string {
	var env []string
	for _, key := range []string{"PATH", "HOME", "LANG", "TZ", "USER"} {
		if value, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+value)
		}
	}
	if getEnv(env, "PATH") == "" {
		env = mergeEnv(env, []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
	}
	return env
}
