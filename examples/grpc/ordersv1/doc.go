// Package ordersv1 is orders/v1/orders.proto in Go.
package ordersv1
