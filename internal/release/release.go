package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// release makes the commit and the tags of a version in the repository at dir.
func release(ctx context.Context, dir, name string, dry bool, stdout io.Writer) (err error) {
	modules, err := readModules(ctx, dir)
	if err != nil {
		return err
	}
	if err := mayRelease(ctx, dir, name, modules); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()

	tree := filepath.Join(tmp, "tree")
	if _, err := git(ctx, dir, "worktree", "add", "--quiet", "--detach", tree, "HEAD"); err != nil {
		return err
	}
	defer func() {
		_, removed := git(context.WithoutCancel(ctx), dir, "worktree", "remove", "--force", tree)
		err = errors.Join(err, removed)
	}()
	commit, err := prepare(ctx, tmp, tree, name, modules)
	if err != nil {
		return err
	}
	diff, err := git(ctx, tree, "show", "--stat", "--format=%s", commit)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, diff)
	return publish(ctx, dir, name, commit, modules, dry, stdout)
}

// publish moves the branch and adds the tags. With dry it prints them only.
func publish(ctx context.Context, dir, name, commit string, modules []module, dry bool, stdout io.Writer) error {
	words := []string{"git push --atomic origin HEAD"}
	for _, m := range modules {
		words = append(words, m.tag(name))
	}
	push := strings.Join(words, " ")
	if dry {
		fmt.Fprintf(stdout, "dry run: nothing was changed. The release would end with:\n  %s\n", push)
		return nil
	}
	if _, err := git(ctx, dir, "merge", "--quiet", "--ff-only", commit); err != nil {
		return err
	}
	for _, m := range modules {
		if _, err := git(ctx, dir, "tag", "-a", "-m", m.path+" "+name, m.tag(name), commit); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "committed and tagged. To publish:\n  %s\n", push)
	return nil
}

// mayRelease reports why a version cannot be released now.
func mayRelease(ctx context.Context, dir, name string, modules []module) error {
	v, err := parseVersion(name)
	if err != nil {
		return err
	}
	if v.number[0] > 1 {
		return fmt.Errorf("%s: the module paths of a major version from 2 on end in its number, such as /v%d", name, v.number[0])
	}
	dirty, err := git(ctx, dir, "status", "--porcelain")
	if err != nil {
		return err
	}
	if dirty != "" {
		return fmt.Errorf("the tree has changes that are not committed:\n%s", dirty)
	}
	tags, err := git(ctx, dir, "tag", "--list")
	if err != nil {
		return err
	}
	for tag := range strings.FieldsSeq(tags) {
		for _, m := range modules {
			if tag == m.tag(name) {
				return fmt.Errorf("the tag %s exists", tag)
			}
		}
		if last, err := parseVersion(tag); err == nil && v.compare(last) < 0 {
			return fmt.Errorf("%s is lower than the tag %s", name, tag)
		}
	}
	return nil
}

// prepare makes the commit of the release in tree, and returns it. The branch
// of the repository stays where it is.
func prepare(ctx context.Context, tmp, tree, name string, modules []module) (string, error) {
	for _, m := range modules {
		if err := pin(ctx, tree, m, name); err != nil {
			return "", err
		}
	}
	public := filepath.Join(tmp, "public.git")
	if _, err := git(ctx, tree, "init", "--quiet", "--bare", public); err != nil {
		return "", err
	}
	commit := func(args ...string) error {
		if _, err := git(ctx, tree, "add", "--all"); err != nil {
			return err
		}
		_, err := git(ctx, tree, append([]string{"commit", "--quiet", "--allow-empty", "--message", "release: " + name}, args...)...)
		return err
	}
	if err := commit(); err != nil {
		return "", err
	}
	// The checksum of a module depends on its own files alone, so that those of the
	// modules before it in the list are final when it is its turn.
	for _, m := range modules {
		for _, required := range m.requires {
			sums, err := download(ctx, tmp, public, modules, required, name)
			if err != nil {
				return "", err
			}
			if err := addSums(filepath.Join(tree, filepath.FromSlash(m.dir), "go.sum"), required, name, sums); err != nil {
				return "", err
			}
		}
		if err := commit("--amend"); err != nil {
			return "", err
		}
		if _, err := git(ctx, tree, "push", "--quiet", public, "HEAD:refs/tags/"+m.tag(name)); err != nil {
			return "", err
		}
	}
	return git(ctx, tree, "rev-parse", "HEAD")
}

// moduleSums are the checksums that go.sum has of a module.
type moduleSums struct{ Sum, GoModSum string }

// download asks the go tool for the checksums of a module that is tagged in the
// repository public. It does so before the module is published, with a module
// cache of its own.
func download(ctx context.Context, tmp, public string, modules []module, name, version string) (moduleSums, error) {
	root := modules[slices.IndexFunc(modules, func(m module) bool { return m.dir == "." })].path
	env := []string{
		"GOWORK=off", "GOFLAGS=-modcacherw", "GOMODCACHE=" + filepath.Join(tmp, "modules"), "GOTOOLCHAIN=local",
		"GOPROXY=direct", "GONOPROXY=none", "GOSUMDB=off", "GOPRIVATE=" + root,
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url.file://" + filepath.ToSlash(public) + ".insteadOf", "GIT_CONFIG_VALUE_0=https://" + root,
	}
	text, err := output(ctx, tmp, env, "go", "mod", "download", "-json", name+"@"+version)
	if err != nil {
		return moduleSums{}, err
	}
	var sums moduleSums
	if err := decode(text, &sums); err != nil {
		return moduleSums{}, err
	}
	if sums.Sum == "" || sums.GoModSum == "" {
		return moduleSums{}, fmt.Errorf("go mod download %s@%s says no checksums: %s", name, version, text)
	}
	return sums, nil
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	return output(ctx, dir, nil, "git", args...)
}

// output runs a program and returns what it printed, without the last newline.
func output(ctx context.Context, dir string, env []string, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", program, strings.Join(args, " "), err, stderr.Bytes(), out)
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}
