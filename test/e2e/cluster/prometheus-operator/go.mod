// Pins the CustomResourceDefinitions of the Prometheus Operator; nothing is built from it.
module github.com/openshell-sideload/openshell-sideload/test/e2e/cluster/prometheus-operator

go 1.24.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
