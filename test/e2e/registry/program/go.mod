// Pins the registry of go-containerregistry.
module github.com/openshell-sideload/openshell-sideload/test/e2e/registry/program

go 1.26.0

tool github.com/google/go-containerregistry/cmd/registry

require github.com/google/go-containerregistry v0.22.1 // indirect
