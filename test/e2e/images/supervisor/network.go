package main

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"net"
	"os"
	"os/exec"
	"strings"
)

const (
	outerAddress = "10.200.0.1"
	innerAddress = "10.200.0.2"
	proxyAddress = outerAddress + ":3128"
)

var (
	ipPaths      = []string{"/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"}
	nsenterPaths = []string{"/usr/bin/nsenter", "/bin/nsenter", "/usr/sbin/nsenter", "/sbin/nsenter"}
)

// network is the program's network namespace, and the pair of interfaces that leads to it.
type network struct{ name, outer, inner string }

func (n network) path() string { return "/var/run/netns/" + n.name }

// makeNetwork makes the namespace with `ip` and `nsenter` of the image, which the real one trusts too.
func makeNetwork() (network, error) {
	if os.Getenv("OPENSHELL_NETWORK_ENFORCEMENT_MODE") == "sidecar-nftables" {
		return network{}, errorf("OPENSHELL_SIDECAR_CONTROL_SOCKET is required for sidecar topology")
	}
	id := make([]byte, 4)
	_, _ = rand.Read(id)
	suffix := hex.EncodeToString(id)
	n := network{"sandbox-" + suffix, "veth-h-" + suffix, "veth-s-" + suffix}
	logEvent("CONFIG:CREATING", "INFO", "Creating network namespace [ns:"+n.name+" host_veth:"+n.outer+" sandbox_veth:"+n.inner+"]")
	for _, step := range []struct {
		inside bool
		args   []string
	}{
		{false, []string{"netns", "add", n.name}},
		{false, []string{"link", "add", n.outer, "type", "veth", "peer", "name", n.inner}},
		{false, []string{"link", "set", n.inner, "netns", n.name}},
		{false, []string{"addr", "add", outerAddress + "/24", "dev", n.outer}},
		{false, []string{"link", "set", n.outer, "up"}},
		{true, []string{"addr", "add", innerAddress + "/24", "dev", n.inner}},
		{true, []string{"link", "set", n.inner, "up"}},
		{true, []string{"link", "set", "lo", "up"}},
		{true, []string{"route", "add", "default", "via", outerAddress}},
	} {
		run := ip
		if step.inside {
			run = n.ip
		}
		if err := run(step.args...); err != nil {
			n.remove()
			return network{}, errorf("Network namespace creation failed and proxy mode requires isolation. "+
				"Ensure CAP_NET_ADMIN and CAP_SYS_ADMIN are available and iproute2 is installed. Error: %w", err)
		}
	}
	logEvent("CONFIG:CREATED", "INFO",
		"Network namespace created [ns:"+n.name+" host_ip:"+outerAddress+" sandbox_ip:"+innerAddress+"]")
	logEvent("CONFIG:DEGRADED", "MED", "nft not found; bypass detection rules will not be installed [ns:"+n.name+"]")
	return n, nil
}

// remove takes away as much of the network as was made.
func (n network) remove() {
	_ = ip("link", "delete", n.outer)
	_ = ip("netns", "delete", n.name)
}

func ip(args ...string) error {
	program, err := trusted("ip", ipPaths)
	if err != nil {
		return err
	}
	return helper(program, args...)
}

// ip runs the helper inside the namespace.
func (n network) ip(args ...string) error {
	program, err := trusted("ip", ipPaths)
	if err != nil {
		return err
	}
	nsenter, err := trusted("nsenter", nsenterPaths)
	if err != nil {
		return err
	}
	return helper(nsenter, append([]string{"--net=" + n.path(), "--", program}, args...)...)
}

func helper(program string, args ...string) error {
	command := exec.Command(program, args...)
	var stderr strings.Builder
	command.Stderr = &stderr
	err := command.Run()
	if _, failed := err.(*exec.ExitError); failed {
		return errorf("%s %s failed: %s", program, strings.Join(args, " "), strings.TrimSpace(stderr.String()))
	}
	return systemError(err)
}

func trusted(name string, paths []string) (string, error) {
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", errorf("trusted %s helper not found; checked %s", name, strings.Join(paths, ", "))
}

// startProxy listens where the program's proxy variables point to, and denies everything.
func startProxy(n network, options options) error {
	if line != "0.0.110" {
		rules, _ := options.get("policy-rules")
		if err := checkRules(rules, proxyRules); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp4", proxyAddress)
	if err != nil {
		return systemError(err)
	}
	logEvent("NET:LISTEN", "INFO", proxyAddress)
	if err := checkUpstreamProxy(options); err != nil {
		return err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go deny(connection)
		}
	}()
	return nil
}

// deny responds as the real one does if the policy names no endpoint. It does not look for the program that asked.
func deny(connection net.Conn) {
	defer connection.Close()
	request, err := bufio.NewReader(connection).ReadString('\n')
	words := strings.Fields(request)
	if err != nil || len(words) < 2 {
		return
	}
	class, target := "HTTP:"+words[0], words[0]+" "+words[1]
	if words[0] == "CONNECT" {
		class, target = "NET:OPEN", words[1]
	}
	logEvent(class, "MED", "DENIED -(0) -> "+target+" [policy:- engine:opa] [reason:network connections not allowed by policy]")
	_, _ = connection.Write([]byte("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
}
