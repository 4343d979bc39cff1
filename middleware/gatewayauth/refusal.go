package gatewayauth

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sallyport-auth/sallyport/middleware"
)

// refusalOf returns the Denial that a gate sent as s, or nil if s is no refusal of a
// gate. The code must be that of the Denial, because interceptors may have changed it.
func refusalOf(s *status.Status) *middleware.Denial {
	var info *errdetails.ErrorInfo
	var after time.Duration
	for _, detail := range s.Proto().GetDetails() {
		if info == nil {
			info = errorInfo(detail)
		}
		if after == 0 {
			after = retryDelay(detail)
		}
	}
	if info == nil {
		return nil
	}
	d, ok := middleware.ParseErrorInfo(info.GetReason(), info.GetMetadata(), after)
	if !ok || codes.Code(d.Class.GRPC()) != s.Code() {
		return nil
	}
	return d
}

// errorInfo returns detail if it is an ErrorInfo of package middleware, and nil
// otherwise.
func errorInfo(detail *anypb.Any) *errdetails.ErrorInfo {
	info := new(errdetails.ErrorInfo)
	if detail.UnmarshalTo(info) != nil || info.GetDomain() != middleware.ErrorDomain {
		return nil
	}
	return info
}

// retryDelay returns the delay of detail if it is a RetryInfo, and 0 otherwise.
func retryDelay(detail *anypb.Any) time.Duration {
	retry := new(errdetails.RetryInfo)
	if detail.UnmarshalTo(retry) != nil {
		return 0
	}
	return retry.GetRetryDelay().AsDuration()
}

// rendered returns s without the details that render fails on.
func rendered(s *status.Status, render func(detail *anypb.Any) error) (without *status.Status, changed bool) {
	proto := s.Proto()
	all := proto.GetDetails()
	proto.Details = nil
	for _, detail := range all {
		if render(detail) == nil {
			proto.Details = append(proto.Details, detail)
		}
	}
	if len(proto.GetDetails()) == len(all) {
		return s, false
	}
	return status.FromProto(proto), true
}
