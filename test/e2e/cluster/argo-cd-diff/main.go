// Says whether Argo CD finds a difference between what is to be there and what is: {"config": …, "live": …} on standard input.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/argoproj/gitops-engine/pkg/diff"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func main() {
	var objects struct{ Config, Live *unstructured.Unstructured }
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		log.Fatal(err)
	}
	result, err := diff.Diff(objects.Config, objects.Live)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Modified)
}
