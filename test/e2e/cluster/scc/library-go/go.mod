// Stands for github.com/openshift/library-go, of which the plugin uses nothing but what is here.
module github.com/openshift/library-go

go 1.26.0
