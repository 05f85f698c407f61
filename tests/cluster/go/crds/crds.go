// Package crds pins the module whose zip holds the Gateway API's
// CustomResourceDefinitions; the import keeps it in go.mod.
package crds

import _ "sigs.k8s.io/gateway-api/pkg/consts"
