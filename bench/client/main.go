// Sends bodies side by side as an API server calls a webhook, over the transport of client-go, and prints what became of them.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
)

// The longest that an API server waits for any webhook: the highest timeoutSeconds.
const limit = 30 * time.Second

type result struct {
	begin, end time.Time
	failure    string
}

func main() {
	url := flag.String("url", "", "where the bodies go")
	ca := flag.String("ca", "", "file with the CA of the server's certificate")
	token := flag.String("token", "", "bearer token")
	file := flag.String("bodies", "", "file with a body in each line")
	want := flag.String("want", "", "what each response has to hold")
	atOnce := flag.Int("at-once", 1, "how many are sent side by side")
	late := flag.Duration("late", limit, "after this a response is late")
	warmUp := flag.Float64("warm-up", 0, "seconds before anything is measured")
	seconds := flag.Float64("seconds", 0, "stop after so many seconds more, with the bodies again from the first; 0: after -count")
	count := flag.Int("count", 0, "how many are sent, with the bodies again from the first; 0: each once")
	own := flag.Bool("own", false, "a connection for each body, none is kept")
	idle := flag.Int("idle", 25, "so many connections are kept; client-go keeps 25")
	pid := flag.String("pid", "", "process whose CPU time and memory are measured")
	flag.Parse()

	// As k8s.io/apiserver, pkg/util/webhook/client.go: HTTP/1.1, no limit of connections for a host.
	config := &rest.Config{Host: *url, BearerToken: *token, Timeout: limit}
	config.TLSClientConfig = rest.TLSClientConfig{CAData: must(os.ReadFile(*ca)), NextProtos: []string{"http/1.1"}}
	config.Wrap(func(transport http.RoundTripper) http.RoundTripper {
		wrapper := transport.(interface{ WrappedRoundTripper() http.RoundTripper })
		wrapper.WrappedRoundTripper().(*http.Transport).MaxIdleConnsPerHost = *idle
		return transport
	})
	client := must(rest.HTTPClientFor(config))
	bodies := bytes.Split(bytes.TrimSpace(must(os.ReadFile(*file))), []byte("\n"))
	if *count == 0 {
		*count = len(bodies)
	}

	start := time.Now().Add(time.Duration(*warmUp * float64(time.Second)))
	var before float64
	time.AfterFunc(time.Until(start), func() { before, _ = usage(*pid) })
	var next atomic.Int64
	results := make(chan result, 1024)
	var senders sync.WaitGroup
	for range *atOnce {
		senders.Go(func() {
			for index := int(next.Add(1)) - 1; *seconds > 0 || index < *count; index = int(next.Add(1)) - 1 {
				begin := time.Now()
				if *seconds > 0 && begin.Sub(start).Seconds() >= *seconds {
					return
				}
				failure := send(client, *url, bodies[index%len(bodies)], *want, *own)
				results <- result{begin, time.Now(), failure}
			}
		})
	}
	go func() { senders.Wait(); close(results) }()

	var times []float64
	counts := map[string]int{}
	end, failure := start, ""
	for each := range results {
		if each.begin.Before(start) && each.failure == "" {
			continue
		}
		end = each.end
		times = append(times, each.end.Sub(each.begin).Seconds()*1000)
		switch {
		case each.failure != "":
			counts["failed"]++
			failure = each.failure
		case each.end.Sub(each.begin) > *late:
			counts["late"]++
		default:
			counts["inTime"]++
		}
	}
	slices.Sort(times)
	at := func(share float64) float64 { return times[int(math.Ceil(share*float64(len(times))))-1] }
	cpu, rss := usage(*pid)
	done := float64(counts["inTime"] + counts["late"])
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"inTime": counts["inTime"], "late": counts["late"], "failed": counts["failed"], "failure": failure,
		"p50": at(0.5), "p99": at(0.99), "slowest": at(1),
		"perSecond": done / end.Sub(start).Seconds(), "cpu": (cpu - before) / max(1, done) * 1e6, "rss": rss,
	}))
}

func send(client *http.Client, url string, body []byte, want string, own bool) string {
	request := must(http.NewRequest(http.MethodPost, url, bytes.NewReader(body)))
	request.Header.Set("Content-Type", "application/json")
	request.Close = own
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 || !bytes.Contains(text, []byte(want)) {
		return fmt.Sprintf("HTTP %d %v: %.300s", response.StatusCode, err, text)
	}
	return ""
}

// The CPU time of a process in seconds, user and kernel mode, and its resident memory in MiB (proc_pid_stat(5)).
func usage(pid string) (cpu, rss float64) {
	if pid == "" {
		return 0, 0
	}
	stat := string(must(os.ReadFile("/proc/" + pid + "/stat")))
	// The program's name may hold spaces; fields 14, 15 and 24 follow it.
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	number := func(index int) float64 { return must(strconv.ParseFloat(fields[index], 64)) }
	const ticks, page = 100, 4096
	return (number(11) + number(12)) / ticks, number(21) * page / (1 << 20)
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
