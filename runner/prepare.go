package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// launch is a Spec made ready for fork and exec. Everything that can be checked
// beforehand has been, because a failed exec tells no more than an error number.
type launch struct {
	path string // of the program, absolute
	argv []string
	env  []string
	dir  string // absolute, or "" for the node's own
	cred *syscall.Credential
}

// prepare looks up program, folder, environment and user of s.
func (r *Runner) prepare(s *Spec) (*launch, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	l := &launch{argv: s.Argv}
	err := l.setDir(s.Dir)
	if err == nil {
		err = l.setUser(s.User, s.Group, r.baseEnv)
	}
	if err == nil {
		err = l.addEnv(s, r.keeper.marker)
	}
	if err == nil {
		l.path, err = lookPath(s.Argv[0], getEnv(l.env, "PATH"), l.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot start %q: %v", s.Argv[0], err)
	}
	return l, nil
}

func (l *launch) setDir(dir string) error {
	if dir == "" {
		return nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("cannot use working dir %q: %v", dir, err)
	}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("working dir %s does not exist", abs)
	case err != nil:
		return fmt.Errorf("cannot use working dir: %v", err)
	case !info.IsDir():
		return fmt.Errorf("working dir %s is not a directory", abs)
	}
	l.dir = abs
	return nil
}

func (l *launch) addEnv(s *Spec, marker string) error {
	var fromFile []string
	if s.EnvFile != "" {
		path := s.EnvFile
		if !filepath.IsAbs(path) {
			path = filepath.Join(l.dir, path)
		}
		var err error
		if fromFile, err = readEnvFile(path); err != nil {
			return err
		}
	}
	for _, entry := range s.Env {
		if key, _, ok := strings.Cut(entry, "="); !ok || key == "" || strings.ContainsRune(entry, 0) {
			return fmt.Errorf("environment entry %q is not KEY=VALUE", clip(entry, 60))
		}
	}
	l.env = mergeEnv(l.env, fromFile, s.Env, []string{marker})
	return nil
}

// setUser fills in the credential and the base environment. A child of another
// user gets that user's HOME and USER.
func (l *launch) setUser(name, group string, base []string) error {
	l.env = base
	if name == "" && group == "" {
		return nil
	}
	cred := &syscall.Credential{Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}
	if name != "" {
		u, err := findUser(name)
		if err != nil {
			return err
		}
		if err := fillUser(cred, u); err != nil {
			return err
		}
		l.env = mergeEnv(base, []string{"HOME=" + u.HomeDir, "USER=" + u.Username})
	}
	if group != "" {
		gid, err := findGroup(group)
		if err != nil {
			return err
		}
		cred.Gid = gid
	}
	if os.Getuid() != 0 {
		if int(cred.Uid) != os.Getuid() || int(cred.Gid) != os.Getgid() {
			return fmt.Errorf("only root can start it as user %q, group %q", name, group)
		}
		return nil // it is who we are already
	}
	l.cred = cred
	return nil
}

func findUser(name string) (*user.User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if _, isNumber := strconv.ParseUint(name, 10, 32); isNumber == nil {
			if u, err = user.LookupId(name); err != nil { // a number needs no account
				return &user.User{Uid: name, Gid: name, Username: name, HomeDir: "/"}, nil
			}
			return u, nil
		}
		return nil, fmt.Errorf("user %q does not exist on this node", name)
	}
	return u, nil
}

func fillUser(cred *syscall.Credential, u *user.User) error {
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("user %q has no usable ids: %v", u.Username, err)
	}
	cred.Uid, cred.Gid = uint32(uid), uint32(gid)
	ids, _ := u.GroupIds() // a number without account has none
	for _, id := range ids {
		// The primary group is Gid, and no longer one of the user's if Spec.Group replaces it.
		if n, err := strconv.ParseUint(id, 10, 32); err == nil && n != gid {
			cred.Groups = append(cred.Groups, uint32(n))
		}
	}
	return nil
}

func findGroup(name string) (uint32, error) {
	id := name
	if g, err := user.LookupGroup(name); err == nil {
		id = g.Gid
	}
	gid, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("group %q does not exist on this node", name)
	}
	return uint32(gid), nil
}

// lookPath finds the program of a child. A name with a slash is relative to
// dir; any other is looked for in path, the child's own PATH.
func lookPath(name, path, dir string) (string, error) {
	if strings.Contains(name, "/") {
		return absProgram(name, dir)
	}
	var found error // a candidate that cannot be run
	for _, folder := range filepath.SplitList(path) {
		full, err := absProgram(filepath.Join(folder, name), dir)
		if err == nil {
			return full, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && found == nil {
			found = err
		}
	}
	if found != nil {
		return "", found
	}
	return "", fmt.Errorf("not found in PATH %s", path)
}

func absProgram(name, dir string) (string, error) {
	full := name
	if !filepath.IsAbs(full) {
		full = filepath.Join(dir, full)
	}
	full, err := filepath.Abs(full)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", missingFile(full)
	case err != nil:
		return "", err
	case info.IsDir():
		return "", fmt.Errorf("%s is a directory", full)
	case info.Mode()&0o111 == 0:
		return "", fmt.Errorf("%s is not executable (mode %s)", full, info.Mode().Perm())
	}
	return full, nil
}

// missingFile prints better than fs.PathError and is still fs.ErrNotExist.
type missingFile string

func (m missingFile) Error() string   { return "there is no file " + string(m) }
func (m missingFile) Is(e error) bool { return e == fs.ErrNotExist }

// explainExec says what an error number of fork or exec means for this launch.
func explainExec(l *launch, err error) error {
	why := err.Error()
	switch {
	case errors.Is(err, syscall.ENOENT):
		why = l.path + " exists, but the interpreter in its first line or its loader does not"
	case errors.Is(err, syscall.ENOEXEC):
		why = l.path + " is not a program for this machine, and has no #! line"
	case errors.Is(err, syscall.EACCES):
		why = "the child's user may not run " + l.path + " or enter its working dir"
	case errors.Is(err, syscall.EPERM):
		why = "this needs rights that the node does not have: " + why
	case errors.Is(err, syscall.E2BIG):
		why = "arguments and environment together are too long"
	case errors.Is(err, syscall.EAGAIN):
		why = "the limit of processes is reached"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		why = "the node has run out of file descriptors (some for each child)"
	}
	return fmt.Errorf("cannot start %q: %s", l.argv[0], why)
}
