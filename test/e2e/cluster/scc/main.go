// Runs OpenShift's own SCC admission plugin behind two webhooks, for an API server that is not OpenShift's: /mutate is what the
// plugin does before webhooks and again after them, /validate what it says to the result.
//
// SCCs, namespaces and who may use an SCC are asked of the API server.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"reflect"

	"github.com/openshift/apiserver-library-go/pkg/securitycontextconstraints/sccadmission"
	openshift "github.com/openshift/client-go/security/clientset/versioned"
	securityinformers "github.com/openshift/client-go/security/informers/externalversions"
	admissionv1 "k8s.io/api/admission/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
)

// reviewed is what the plugin does with a pod.
type reviewed func(context.Context, admission.Attributes, admission.ObjectInterfaces) error

func main() {
	kubeconfig := flag.String("kubeconfig", "", "access to the API server")
	address := flag.String("address", "", "where to listen")
	certificate := flag.String("certificate", "", "file")
	key := flag.String("key", "", "file")
	flag.Parse()

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	// A pod asks about every SCC, several times.
	config.QPS = -1
	client := kubernetes.NewForConfigOrDie(config)
	objects := informers.NewSharedInformerFactory(client, 0)
	constraints := securityinformers.NewSharedInformerFactory(openshift.NewForConfigOrDie(config), 0)

	plugin := sccadmission.NewConstraint()
	plugin.SetExternalKubeInformerFactory(objects)
	plugin.SetSecurityInformers(constraints.Security().V1().SecurityContextConstraints())
	plugin.SetAuthorizer(authorizer.AuthorizerFunc(subjectAccess(client)))
	if err := plugin.ValidateInitialization(); err != nil {
		log.Fatal(err)
	}
	objects.Start(nil)
	constraints.Start(nil)

	http.HandleFunc("/mutate", answer(plugin.Admit))
	http.HandleFunc("/validate", answer(plugin.Validate))
	log.Fatal(http.ListenAndServeTLS(*address, *certificate, *key, nil))
}

// subjectAccess asks the API server who may do what.
func subjectAccess(client kubernetes.Interface) authorizer.AuthorizerFunc {
	return func(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		review, err := client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User:   a.GetUser().GetName(),
				Groups: a.GetUser().GetGroups(),
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: a.GetNamespace(),
					Verb:      a.GetVerb(),
					Group:     a.GetAPIGroup(),
					Resource:  a.GetResource(),
					Name:      a.GetName(),
				},
			},
		}, metav1.CreateOptions{})
		if err != nil {
			return authorizer.DecisionNoOpinion, "", err
		}
		if review.Status.Allowed {
			return authorizer.DecisionAllow, review.Status.Reason, nil
		}
		return authorizer.DecisionNoOpinion, review.Status.Reason, nil
	}
}

// answer serves an admission review with what the plugin does.
func answer(review reviewed) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body.Response = respond(r.Context(), review, body.Request)
		body.Response.UID = body.Request.UID
		body.Request = nil
		if err := json.NewEncoder(w).Encode(body); err != nil {
			log.Print(err)
		}
	}
}

func respond(ctx context.Context, review reviewed, request *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	pod, err := decode(request.Object.Raw)
	if err != nil {
		return refusal(err)
	}
	before := pod.DeepCopy()
	attributes := admission.NewAttributesRecord(
		pod, nil,
		schema.GroupVersionKind(request.Kind), request.Namespace, request.Name,
		schema.GroupVersionResource(request.Resource), request.SubResource,
		admission.Operation(request.Operation), nil, request.DryRun != nil && *request.DryRun,
		&user.DefaultInfo{Name: request.UserInfo.Username, Groups: request.UserInfo.Groups},
	)
	if err := review(ctx, attributes, nil); err != nil {
		return refusal(err)
	}
	response := &admissionv1.AdmissionResponse{Allowed: true}
	if reflect.DeepEqual(before, pod) {
		return response
	}
	if response.Patch, err = replacement(pod); err != nil {
		return refusal(err)
	}
	patchType := admissionv1.PatchTypeJSONPatch
	response.PatchType = &patchType
	return response
}

func refusal(err error) *admissionv1.AdmissionResponse {
	return &admissionv1.AdmissionResponse{Result: &metav1.Status{Message: err.Error(), Code: http.StatusForbidden}}
}

func decode(raw []byte) (*core.Pod, error) {
	var versioned corev1.Pod
	if err := json.Unmarshal(raw, &versioned); err != nil {
		return nil, err
	}
	pod := &core.Pod{}
	return pod, legacyscheme.Scheme.Convert(&versioned, pod, nil)
}

// replacement writes all that the plugin may change.
func replacement(pod *core.Pod) ([]byte, error) {
	var versioned corev1.Pod
	if err := legacyscheme.Scheme.Convert(pod, &versioned, nil); err != nil {
		return nil, err
	}
	return json.Marshal([]map[string]any{
		{"op": "add", "path": "/metadata/annotations", "value": versioned.Annotations},
		{"op": "replace", "path": "/spec", "value": versioned.Spec},
	})
}
