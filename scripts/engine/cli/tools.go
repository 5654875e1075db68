//go:build tools

// Package tools names the command that scripts/bootstrap builds, so that go.sum covers it.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
