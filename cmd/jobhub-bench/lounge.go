package main
import "context"
func (f *fanoutOptions) idle(ctx context.Context, o *output) ([]figure, error) { return nil, nil }
func (f *fanoutOptions) stalled(ctx context.Context, o *output) ([]figure, error) { return nil, nil }
