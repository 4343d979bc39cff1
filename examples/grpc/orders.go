package main

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-auth/sallyport/examples/grpc/ordersv1"
	"github.com/sallyport-auth/sallyport/middleware"
)

// orders is the service. Its gate has decided that the token permits the method. The
// methods ask the token whose orders they may touch, so that a call which reaches them
// without a gate, such as one of a gateway in the same process, is refused.
type orders struct {
	ordersv1.UnimplementedOrderServiceServer

	mu      sync.Mutex
	all     []*record     // in the order of their creation
	changed chan struct{} // closed at the next creation
}

// record is one order and the user who made it.
type record struct {
	issuer, subject string
	order           *ordersv1.Order
	deleted         bool
}

func newOrders() *orders { return &orders{changed: make(chan struct{})} }

var (
	errNoCaller = status.Error(codes.Unauthenticated, "the call has no token")
	errNoAdmin  = status.Error(codes.PermissionDenied, "the token does not permit it")
	errNoOrder  = status.Error(codes.NotFound, "there is no such order")
)

// GetOrder returns an order of the caller. One of another user is not found.
func (o *orders) GetOrder(ctx context.Context, request *ordersv1.GetOrderRequest) (*ordersv1.GetOrderResponse, error) {
	token := middleware.TokenFrom(ctx)
	if token.Subject() == "" {
		return nil, errNoCaller
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.all {
		if r.order.GetId() == request.GetId() && !r.deleted && token.Is(r.issuer, r.subject) {
			return &ordersv1.GetOrderResponse{Order: r.order}, nil
		}
	}
	return nil, errNoOrder
}

// CreateOrder creates an order of the caller.
func (o *orders) CreateOrder(ctx context.Context, request *ordersv1.CreateOrderRequest) (*ordersv1.CreateOrderResponse, error) {
	token := middleware.TokenFrom(ctx)
	if token.Subject() == "" {
		return nil, errNoCaller
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	order := &ordersv1.Order{Id: fmt.Sprint(len(o.all) + 1), Item: request.GetItem()}
	o.all = append(o.all, &record{issuer: token.Issuer(), subject: token.Subject(), order: order})
	close(o.changed)
	o.changed = make(chan struct{})
	return &ordersv1.CreateOrderResponse{Order: order}, nil
}

// DeleteOrder deletes an order of anybody.
func (o *orders) DeleteOrder(ctx context.Context, request *ordersv1.DeleteOrderRequest) (*ordersv1.DeleteOrderResponse, error) {
	if !middleware.TokenFrom(ctx).HasScope("orders:admin") {
		return nil, errNoAdmin
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.all {
		if r.order.GetId() == request.GetId() && !r.deleted {
			r.deleted = true
			return &ordersv1.DeleteOrderResponse{}, nil
		}
	}
	return nil, errNoOrder
}

// WatchOrders sends the orders of the caller, and then each new one. The gate ends the
// stream when the token expires: the context ends, and sending fails.
func (o *orders) WatchOrders(_ *ordersv1.WatchOrdersRequest, stream grpc.ServerStreamingServer[ordersv1.WatchOrdersResponse]) error {
	ctx := stream.Context()
	token := middleware.TokenFrom(ctx)
	if token.Subject() == "" {
		return errNoCaller
	}
	if err := stream.SendHeader(nil); err != nil { // tells the client that the token was accepted
		return err
	}
	for sent := 0; ; {
		created, changed := o.since(sent)
		for _, r := range created {
			if !token.Is(r.issuer, r.subject) {
				continue
			}
			if err := stream.Send(&ordersv1.WatchOrdersResponse{Order: r.order}); err != nil {
				return err
			}
		}
		sent += len(created)
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// since returns the orders that were created after the first n, and what is closed when
// there is another one.
func (o *orders) since(n int) ([]*record, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all[n:], o.changed
}
