module github.com/openshell-sideload/openshell-sideload/test/e2e/images

go 1.21
