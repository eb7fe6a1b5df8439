// Creates a sandbox pod and prints its name, or why it was refused.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	log.SetFlags(0)
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), nil).ClientConfig()
	if err != nil {
		log.Fatal(err)
	}
	config.WarningHandler = rest.NewWarningWriter(os.Stderr, rest.WarningWriterOptions{})
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "agent-",
			Labels:       map[string]string{"openshell.ai/sandbox": "true"},
			Annotations:  map[string]string{"openshell.ai/policy": "agent-policy"},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name:    "agent",
			Image:   "registry.example/agent:1.0",
			Command: []string{"python", "-m", "agent"},
		}}},
	}
	created, err := kubernetes.NewForConfigOrDie(config).CoreV1().Pods("agents").Create(context.Background(), pod, metav1.CreateOptions{})
	var refusal apierrors.APIStatus
	if errors.As(err, &refusal) {
		log.Fatalf("refused (%d %s): %s", refusal.Status().Code, refusal.Status().Reason, refusal.Status().Message)
	} else if err != nil {
		log.Fatal(err)
	}
	fmt.Println(created.Name)
}
