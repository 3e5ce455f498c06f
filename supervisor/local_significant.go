package supervisor

// WithAutoShutdown ends the supervisor when children that are significant
// (Child.Significant) have ended by themselves and for good: AutoAny with the first of
// them, AutoAll with the last. The others are stopped. Of the outermost supervisor,
// Handle.Wait then gives nil; a nested one has ended normally, so a transient or temporary
// one has finished, and a permanent one, which is the default, is restarted.
func (b *Builder) WithAutoShutdown(a AutoShutdown) *Builder {
	b.spec.AutoShutdown = a
	return b
}

// finished: the outermost supervisor has ended with its significant children. The tree
// stops all others; then it is over.
func (l *local) finished() { l.closing = true }
