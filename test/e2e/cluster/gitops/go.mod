// Pins the CustomResourceDefinitions of Argo CD and Flux; nothing is built from it.
module github.com/openshell-sideload/openshell-sideload/test/e2e/cluster/gitops

go 1.26.0

require (
	github.com/argoproj/argo-cd/v3 v3.4.13
	github.com/fluxcd/kustomize-controller v1.9.6
	github.com/fluxcd/source-controller v1.9.6
)
