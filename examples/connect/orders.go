package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"connectrpc.com/connect"

	"github.com/sallyport-auth/sallyport/examples/grpc/ordersv1"
	"github.com/sallyport-auth/sallyport/middleware"
)

// newOrderServiceHandler is what protoc-gen-connect-go generates for the service.
func newOrderServiceHandler(o *orders, options ...connect.HandlerOption) (string, http.Handler) {
	mux := http.NewServeMux()
	handle := func(procedure string, handler http.Handler) { mux.Handle(procedure, handler) }
	handle(ordersv1.OrderService_GetOrder_FullMethodName, connect.NewUnaryHandler(ordersv1.OrderService_GetOrder_FullMethodName, o.getOrder, options...))
	handle(ordersv1.OrderService_CreateOrder_FullMethodName, connect.NewUnaryHandler(ordersv1.OrderService_CreateOrder_FullMethodName, o.createOrder, options...))
	handle(ordersv1.OrderService_DeleteOrder_FullMethodName, connect.NewUnaryHandler(ordersv1.OrderService_DeleteOrder_FullMethodName, o.deleteOrder, options...))
	handle(ordersv1.OrderService_WatchOrders_FullMethodName, connect.NewServerStreamHandler(ordersv1.OrderService_WatchOrders_FullMethodName, o.watchOrders, options...))
	return "/orders.v1.OrderService/", mux
}

// orders is the service. Its gate has decided that the token permits the method. The
// methods ask the token whose orders they may touch.
type orders struct {
	mu      sync.Mutex
	all     []*record     // in the order of their creation
	changed chan struct{} // closed at the next creation
}

// record is one order and the user who made it.
type record struct {
	issuer, subject string
	order           *ordersv1.Order // nil: it was deleted
}

func newOrders() *orders { return &orders{changed: make(chan struct{})} }

var (
	errNoCaller = connect.NewError(connect.CodeUnauthenticated, errors.New("the call has no token"))
	errNoOrder  = connect.NewError(connect.CodeNotFound, errors.New("there is no such order"))
)

// getOrder returns an order of the caller. One of another user is not found.
func (o *orders) getOrder(ctx context.Context, request *connect.Request[ordersv1.GetOrderRequest]) (*connect.Response[ordersv1.GetOrderResponse], error) {
	mine, _ := o.of(ctx, 0)
	for _, order := range mine {
		if order.GetId() == request.Msg.GetId() {
			return connect.NewResponse(&ordersv1.GetOrderResponse{Order: order}), nil
		}
	}
	return nil, errNoOrder
}

// createOrder creates an order of the caller.
func (o *orders) createOrder(ctx context.Context, request *connect.Request[ordersv1.CreateOrderRequest]) (*connect.Response[ordersv1.CreateOrderResponse], error) {
	token := middleware.TokenFrom(ctx)
	if token.Subject() == "" {
		return nil, errNoCaller
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	order := &ordersv1.Order{Id: fmt.Sprint(len(o.all) + 1), Item: request.Msg.GetItem()}
	o.all = append(o.all, &record{issuer: token.Issuer(), subject: token.Subject(), order: order})
	close(o.changed)
	o.changed = make(chan struct{})
	return connect.NewResponse(&ordersv1.CreateOrderResponse{Order: order}), nil
}

// deleteOrder deletes an order of anybody.
func (o *orders) deleteOrder(_ context.Context, request *connect.Request[ordersv1.DeleteOrderRequest]) (*connect.Response[ordersv1.DeleteOrderResponse], error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.all {
		if r.order.GetId() == request.Msg.GetId() && r.order != nil {
			r.order = nil
			return connect.NewResponse(new(ordersv1.DeleteOrderResponse)), nil
		}
	}
	return nil, errNoOrder
}

// watchOrders sends the orders of the caller, and then each new one. It ends when the
// client leaves, or when the token ends: then ctx ends, too.
func (o *orders) watchOrders(ctx context.Context, _ *connect.Request[ordersv1.WatchOrdersRequest], stream *connect.ServerStream[ordersv1.WatchOrdersResponse]) error {
	for from := 0; ; {
		mine, changed := o.of(ctx, from)
		from += len(mine)
		for _, order := range mine {
			if err := stream.Send(&ordersv1.WatchOrdersResponse{Order: order}); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// of returns the orders of the caller without the first ones, and a channel that is closed
// when there is a new one.
func (o *orders) of(ctx context.Context, from int) (mine []*ordersv1.Order, changed <-chan struct{}) {
	token := middleware.TokenFrom(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.all {
		if token.Is(r.issuer, r.subject) && r.order != nil {
			mine = append(mine, r.order)
		}
	}
	return mine[min(from, len(mine)):], o.changed
}
