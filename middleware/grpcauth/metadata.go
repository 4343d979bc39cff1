package grpcauth

import (
	"context"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/metadata"
)

// recorder is a context that remembers the last key that it was asked for.
type recorder struct {
	context.Context //nolint:containedctx // it is a context

	key any
}

func (r *recorder) Value(key any) any {
	r.key = key
	return nil
}

// metadataKey returns the key under which package metadata keeps incoming metadata, which
// that package does not export: [metadata.FromIncomingContext] copies all of it, and most
// handlers read none. It returns nil if the key is not known, and then the metadata is
// copied for each call.
func metadataKey() any {
	r := &recorder{Context: context.Background()}
	_, _ = metadata.FromIncomingContext(r)
	if r.key == nil {
		return nil
	}
	const probe = "probe"
	ctx := metadata.NewIncomingContext(context.Background(), metadata.MD{probe: nil})
	if md, ok := ctx.Value(r.key).(metadata.MD); !ok || len(md) != 1 {
		return nil
	}
	return r.key
}

// incoming returns the metadata of a call, which must not be changed.
func (g *Gate) incoming(ctx context.Context) metadata.MD {
	if g != nil && g.key != nil {
		md, _ := ctx.Value(g.key).(metadata.MD)
		return md
	}
	md, _ := metadata.FromIncomingContext(ctx)
	return md
}

// callContext is the context of a permitted call. Its incoming metadata has no
// credentials; it is copied when it is asked for.
type callContext struct {
	context.Context //nolint:containedctx // it is a context

	gate *Gate
	once sync.Once
	md   metadata.MD
}

// Value returns the metadata without credentials for the key of package metadata.
func (c *callContext) Value(key any) any {
	if key != c.gate.key {
		return c.Context.Value(key)
	}
	md, ok := c.Context.Value(key).(metadata.MD)
	if !ok {
		return nil
	}
	c.once.Do(func() { c.md = c.gate.screened(md) })
	return c.md
}

// withMetadata returns a child of ctx whose incoming metadata has no credentials.
func (g *Gate) withMetadata(ctx context.Context) context.Context {
	switch {
	case g == nil || len(g.removed) == 0:
		return ctx
	case g.key != nil:
		return &callContext{Context: ctx, gate: g}
	}
	md, ok := metadata.FromIncomingContext(ctx)
	if !ok {
		return ctx
	}
	return metadata.NewIncomingContext(ctx, g.screened(md))
}

// screened returns a copy of md without the keys that handlers do not get. The values are
// shared.
func (g *Gate) screened(md metadata.MD) metadata.MD {
	out := make(metadata.MD, len(md))
	for key, values := range md {
		if !g.removes(key) {
			out[key] = values
		}
	}
	return out
}

// removes reports whether handlers do not get a key.
func (g *Gate) removes(key string) bool {
	return slices.ContainsFunc(g.removed, func(removed string) bool { return strings.EqualFold(removed, key) })
}
