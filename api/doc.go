// Package api
package api
