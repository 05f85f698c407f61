// The modules whose zips hold the CustomResourceDefinitions of neighbours. It is a module of its own,
// since Go would take the newest Gateway API that one of them asks for, and clusters have another one.
// Nothing is imported of them: `go mod tidy` would take them away.
module casita.dev/cluster/neighbours

go 1.26.0

require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/prometheus-operator/prometheus-operator v0.93.1
)
