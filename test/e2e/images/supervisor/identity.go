package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// identity is the program's user and group.
type identity struct{ uid, gid int }

// identityOfDriver reads the variables that the webhook sets. The stand-in knows no users of images, which the real one falls
// back to: a sideloaded pod always has these variables.
func identityOfDriver() (identity, error) {
	uid, gid := os.Getenv("OPENSHELL_SANDBOX_UID"), os.Getenv("OPENSHELL_SANDBOX_GID")
	user := os.Getenv("OPENSHELL_OCI_IMAGE_USER")
	switch {
	case user != "" && (uid != "" || gid != ""):
		return identity{}, errorf("OPENSHELL_OCI_IMAGE_USER conflicts with non-empty OPENSHELL_SANDBOX_UID/OPENSHELL_SANDBOX_GID driver identity")
	case uid == "" && gid == "":
		return identity{}, errorf("the stand-in needs OPENSHELL_SANDBOX_UID and OPENSHELL_SANDBOX_GID")
	case uid == "" || gid == "":
		return identity{}, errorf("OPENSHELL_SANDBOX_UID and OPENSHELL_SANDBOX_GID must be supplied together")
	}
	u, uidErr := strconv.ParseUint(uid, 10, 32)
	g, gidErr := strconv.ParseUint(gid, 10, 32)
	const last = 4294967294
	if uidErr != nil || gidErr != nil || u == 0 || g == 0 || u > last || g > last {
		return identity{}, errorf("driver UID/GID must be numeric identities in range [1, %d]", last)
	}
	return identity{int(u), int(g)}, nil
}

// dropsPrivileges tells whether the program gets another identity than the supervisor.
func dropsPrivileges() bool {
	return os.Getenv("OPENSHELL_SUPERVISOR_TOPOLOGY") != "sidecar"
}

// prepareFiles writes the identity into the image's account files, and gives it its folders.
func prepareFiles(policy policy, who identity) error {
	uid, gid := strconv.Itoa(who.uid), strconv.Itoa(who.gid)
	if err := rewriteAccount("/etc/passwd", "sandbox:x:"+uid+":"+gid+"::/sandbox:/bin/sh", map[int]string{2: uid, 3: gid}); err != nil {
		return err
	}
	if err := rewriteAccount("/etc/group", "sandbox:x:"+gid+":", map[int]string{2: gid}); err != nil {
		return err
	}
	logInfo("openshell_supervisor_process::process", "Updated /etc/passwd and /etc/group for sandbox identity")
	logEvent("CONFIG:VALIDATED", "INFO", "Accepted numeric UID "+uid+" (no passwd entry required)")
	logEvent("CONFIG:VALIDATED", "INFO", "Accepted numeric GID "+gid+" (no group entry required)")
	for _, path := range policy.Filesystem.ReadWrite {
		if err := makeWritable(path, who); err != nil {
			return err
		}
	}
	if !exists("/sandbox") {
		return nil
	}
	logInfo("openshell_supervisor_process::process", "Chowning /sandbox for driver-injected UID/GID")
	return giveHome("/sandbox", who)
}

// rewriteAccount changes fields of the line `sandbox`, or adds one.
func rewriteAccount(file, added string, fields map[int]string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return systemError(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	found := false
	for i, line := range lines {
		if !strings.HasPrefix(line, "sandbox:") {
			continue
		}
		found = true
		parts := strings.Split(line, ":")
		for at, value := range fields {
			if at < len(parts) {
				parts[at] = value
			}
		}
		lines[i] = strings.Join(parts, ":")
	}
	if !found {
		lines = append(lines, added)
	}
	return systemError(os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
}

// makeWritable makes a folder that is missing. A folder that is there keeps its owner.
func makeWritable(path string, who identity) error {
	info, err := os.Lstat(path)
	if err == nil {
		if info.Mode()&fs.ModeSymlink != 0 {
			return errorf("read_write path '%s' is a symlink — refusing to chown (potential privilege escalation)", path)
		}
		return nil
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return systemError(err)
	}
	return namedError(os.Chown(path, who.uid, who.gid))
}

// giveHome changes the owner of a tree. Read-only mounts in it keep theirs.
func giveHome(root string, who identity) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			if path == root {
				return errorf("path '%s' is a symlink — refusing to chown (potential privilege escalation)", path)
			}
			return nil
		}
		err = os.Chown(path, who.uid, who.gid)
		if errors.Is(err, syscall.EROFS) && path != root {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return namedError(err)
	})
}

// namedError returns an error as the real one prints those of chown: the number's name and words.
func namedError(err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err
	}
	name, known := map[syscall.Errno]string{syscall.EPERM: "EPERM", syscall.EROFS: "EROFS", syscall.EACCES: "EACCES"}[errno]
	if !known {
		return systemError(err)
	}
	text := errno.Error()
	return errorf("%s: %s%s", name, strings.ToUpper(text[:1]), text[1:])
}
