module github.com/openshell-sideload/openshell-sideload/test/e2e/images

go 1.24.0

require (
	golang.org/x/sys v0.40.0
	gopkg.in/yaml.v3 v3.0.1
)
