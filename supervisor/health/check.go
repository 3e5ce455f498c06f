package health

import "context"

// HealthCheck finds out how something is.
type HealthCheck interface {
	// Name says in words what is checked, for messages.
	Name() string
	// Check asks once. It must return soon after ctx ends, which has a deadline.
	Check(ctx context.Context) HealthStatus
}

// Func makes a check of a name and a function that returns nil if all is well; an
// error is Unhealthy, and Critical.
func Func(name string, check func(context.Context) error) HealthCheck {
	return function{name, check}
}

type function struct {
	name  string
	check func(context.Context) error
}

func (f function) Name() string { return f.name }

func (f function) Check(ctx context.Context) HealthStatus { return statusOf(f.check(ctx)) }

// statusOf is what an error means.
func statusOf(err error) HealthStatus {
	if err != nil {
		return Unhealthy(err.Error(), Critical)
	}
	return Healthy()
}
