// Sends bodies side by side as an API server calls a webhook, over the transport of client-go, and prints what became of them.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// The longest that an API server waits for any webhook: the highest timeoutSeconds.
const limit = 30 * time.Second

type result struct {
	ok      bool
	elapsed time.Duration
	failure string
}

func main() {
	url := flag.String("url", "", "where the bodies go")
	ca := flag.String("ca", "", "file with the CA of the server's certificate")
	token := flag.String("token", "", "bearer token")
	file := flag.String("bodies", "", "file with a body in each line")
	want := flag.String("want", "", "what each response has to hold")
	atOnce := flag.Int("at-once", 1, "how many are sent side by side")
	late := flag.Duration("late", limit, "after this a response is late")
	seconds := flag.Float64("seconds", 0, "stop after so many seconds; 0: when all bodies are sent")
	own := flag.Bool("own", false, "a connection for each body, none is kept")
	flag.Parse()

	// As k8s.io/apiserver, pkg/util/webhook/client.go: HTTP/1.1, no limit of connections for a host.
	config := &rest.Config{Host: *url, BearerToken: *token, Timeout: limit}
	config.TLSClientConfig = rest.TLSClientConfig{CAFile: *ca, NextProtos: []string{"http/1.1"}}
	client, err := rest.HTTPClientFor(config)
	exitOn(err)
	input, err := os.Open(*file)
	exitOn(err)

	bodies := make(chan []byte)
	results := make(chan result, 1024)
	started := time.Now()
	go func() {
		defer close(bodies)
		lines := bufio.NewScanner(input)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() && (*seconds == 0 || time.Since(started).Seconds() < *seconds) {
			bodies <- bytes.Clone(lines.Bytes())
		}
	}()
	var senders sync.WaitGroup
	for range *atOnce {
		senders.Go(func() {
			for body := range bodies {
				begin := time.Now()
				failure := send(client, *url, body, *want, *own)
				results <- result{failure == "", time.Since(begin), failure}
			}
		})
	}
	go func() { senders.Wait(); close(results) }()
	report(results, started, *late)
}

func send(client *http.Client, url string, body []byte, want string, own bool) string {
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	exitOn(err)
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

func report(results <-chan result, started time.Time, late time.Duration) {
	var times []float64
	counts := map[string]int{}
	failure := ""
	for each := range results {
		times = append(times, each.elapsed.Seconds())
		switch {
		case !each.ok:
			counts["failed"]++
			failure = each.failure
		case each.elapsed > late:
			counts["late"]++
		default:
			counts["inTime"]++
		}
	}
	sort.Float64s(times)
	at := func(share float64) float64 { return times[max(0, int(share*float64(len(times))+0.999999)-1)] }
	exitOn(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"inTime": counts["inTime"], "late": counts["late"], "failed": counts["failed"], "failure": failure,
		"seconds": time.Since(started).Seconds(), "p50": at(0.5), "p99": at(0.99), "slowest": at(1),
	}))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
